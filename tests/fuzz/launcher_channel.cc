// What comes to the launcher from below: output of the ranks in arbitrary pieces, and messages of
// agents to the supervisor of the job.

#include "controller/launch/channel.h"
#include "controller/launch/line_assembler.h"
#include "controller/launch/output.h"
#include "controller/launch/supervisor.h"
#include "tests/fuzz/target.h"

namespace farandole::fuzz {
namespace {

using namespace launch;

constexpr TimePoint kStart{std::chrono::seconds(1000)};

std::vector<std::string> lines_of(
    std::string_view text, const std::vector<uint8_t>& splits, bool overwrite) {
  LineAssembler assembler(overwrite);
  std::vector<std::string> lines;
  Tail tail;
  const auto sink = [&](std::string_view line) {
    require(line.size() <= kMaxLineBytes, "a line is bounded");
    lines.emplace_back(line);
    tail.add(line);
  };
  for (size_t step = 0; !text.empty(); ++step) {
    const size_t count = splits.empty()
                             ? text.size()
                             : std::min<size_t>(text.size(), 1 + splits[step % splits.size()]);
    assembler.feed(text.substr(0, count), sink);
    text.remove_prefix(count);
    require(assembler.partial().size() <= kMaxLineBytes, "and so is one that has no end yet");
  }
  assembler.finish(sink);
  require(tail.lines().size() <= 10, "only the last lines are kept");
  return lines;
}

void check_lines(Input& in) {
  const bool overwrite = in.flag();
  const std::vector<uint8_t> splits = in.bytes(7);
  std::string text;
  if (in.below(16) == 0)
    text.assign(kMaxLineBytes - in.below(4), 'x');
  text += in.rest();
  const std::vector<std::string> lines = lines_of(text, splits, overwrite);
  require(lines == lines_of(text, {}, overwrite), "lines do not depend on the pieces");
  if (overwrite)
    return;
  std::string all;
  for (const std::string& line : lines) all += line;
  std::erase(text, '\n');
  require(all == text, "every byte is passed on");
}

void check_columns(Input& in) {
  const size_t columns = in.byte();
  const std::string text = in.rest();
  const std::string_view shown = fit_columns(text, columns);
  require(std::string_view(text).starts_with(shown), "what is shown is the head of the text");
  require(fit_columns(shown, columns) == shown, "and fits");
}

Message any_message(Input& in) {
  Message message;
  if (in.byte() < 32) {
    const auto raw = in.take(sizeof(Message));
    if (const auto decoded = decode_message(raw))
      message = *decoded;
    return message;
  }
  message.kind = static_cast<MessageKind>(in.below(7));
  message.rank = static_cast<int32_t>(in.between(-1, 4));
  message.pid = in.byte();
  message.value = in.flag() ? 0 : in.number<int32_t>();
  message.detail = in.byte();
  message.flag = in.flag();
  std::vector<uint8_t> bytes(sizeof(Message));
  std::memcpy(bytes.data(), &message, sizeof(Message));
  const auto decoded = decode_message(bytes);
  require(decoded && *decoded == message, "a message is read as it was sent");
  return message;
}

void step(Input& in, Supervisor& supervisor, TimePoint& now) {
  now += std::chrono::milliseconds(in.byte() * 20);
  switch (in.below(8)) {
    case 0:
      return supervisor.on_agent_end(in.number<int32_t>(), now);
    case 1:
      return supervisor.on_end_signal(static_cast<int>(in.below(65)), in.flag(), now);
    case 2:
      return supervisor.on_output_closed(now);
    case 3:
    case 4:
      return supervisor.on_time(now);
    default:
      return supervisor.on_message(any_message(in), now);
  }
}

void check_supervisor(Input& in) {
  Supervisor::Settings settings;
  settings.ranks = static_cast<int>(1 + in.below(4));
  if (in.flag())
    settings.timeout = std::chrono::seconds(in.byte());
  TimePoint now = kStart;
  Supervisor supervisor(settings, now);
  Supervisor::Phase phase = supervisor.phase();
  for (int steps = 0; steps < 64 && !in.empty(); ++steps) {
    step(in, supervisor, now);
    require(supervisor.phase() >= phase, "a job that is being ended is not taken up again");
    phase = supervisor.phase();
    require(supervisor.take_orders().size() <= 2, "orders are few");
    const bool idle = phase == Supervisor::Phase::Running || phase == Supervisor::Phase::GivenUp;
    require(idle || supervisor.deadline().has_value(), "every end has a deadline");
    require(supervisor.outcome().rank < settings.ranks, "who is blamed is a rank of the job");
    const int victim = static_cast<int>(in.below(4));
    const Outcome outcome = supervisor.outcome([&](int rank) { return rank == victim; });
    require(outcome.cause == supervisor.outcome().cause, "victims do not change what happened");
    for (const int rank : supervisor.running())
      require(rank >= 0 && rank < settings.ranks, "who runs is a rank of the job");
  }
  // Time alone brings it to its end.
  for (int looks = 0; looks < 8 && supervisor.deadline(); ++looks) {
    now = std::max(now, *supervisor.deadline());
    supervisor.on_time(now);
  }
  require(
      !supervisor.deadline() || supervisor.phase() == Supervisor::Phase::GivenUp,
      "nobody is waited for without end");
}

}  // namespace

void launcher_channel(Input in) {
  switch (in.below(4)) {
    case 0:
      return check_lines(in);
    case 1:
      return check_columns(in);
    default:
      return check_supervisor(in);
  }
}

}  // namespace farandole::fuzz

// What comes to the launcher from below: output of the ranks in arbitrary pieces, messages of
// agents to the supervisor of the job, and what comes from other hosts through ssh.

#include <csignal>

#include "controller/launch/addresses.h"
#include "controller/launch/channel.h"
#include "controller/launch/line_assembler.h"
#include "controller/launch/outpost_frames.h"
#include "controller/launch/output.h"
#include "controller/launch/ssh.h"
#include "controller/launch/supervisor.h"
#include "core/base/format.h"
#include "tests/fuzz/target.h"

namespace farandole::fuzz {
namespace {

using namespace launch;

constexpr TimePoint kStart{std::chrono::seconds(1000)};
constexpr size_t kLongText = 8192;  // goes in large pieces up to its last so many bytes

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
    const size_t unit = text.size() > kLongText ? kLongText / 2 : 1;
    const size_t count =
        splits.empty() ? text.size()
                       : std::min<size_t>(text.size(), unit * (1 + splits[step % splits.size()]));
    assembler.feed(text.substr(0, count), sink);
    text.remove_prefix(count);
    require(assembler.partial().size() <= kMaxLineBytes, "and so is one that has no end yet");
  }
  assembler.finish(sink);
  require(tail.lines().size() <= 40, "only the last lines are kept");
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

void step(Input& in, Supervisor& supervisor, int ranks, TimePoint& now) {
  now += std::chrono::milliseconds(in.byte() * 20);
  switch (in.below(9)) {
    case 0:
      return supervisor.on_agent_end(
          in.number<int32_t>(),
          now,
          static_cast<int>(in.below(2)),
          in.flag() ? Cause::HostLost : Cause::AgentLost);
    case 8:
      return supervisor.on_output_unreadable(
          static_cast<int>(in.below(static_cast<size_t>(ranks))), in.byte(), now);
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
  if (in.flag()) {
    for (int rank = 0; rank < settings.ranks; ++rank) settings.hosts.push_back(rank / 2);
  }
  TimePoint now = kStart;
  Supervisor supervisor(settings, now);
  Supervisor::Phase phase = supervisor.phase();
  for (int steps = 0; steps < 64 && !in.empty(); ++steps) {
    step(in, supervisor, settings.ranks, now);
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

// Whatever a body is taken for: what is read is written as it was.
void check_body(const net::Bytes& body) {
  if (const auto texts = decode_texts(body))
    require(encode_texts(*texts) == body, "texts are read as they were written");
  if (const auto facts = decode_facts(body))
    require(encode_facts(*facts) == body, "and facts");
  if (const auto order = decode_order(body)) {
    require(encode_order(*order) == body, "and orders");
    require(!order->argv.empty() && !order->places.empty(), "that can be carried out");
    require(order->places.back().rank < kMaxRanks, "by ranks of a job");
  }
  if (const auto message = decode_relayed(body))
    require(encode_message(*message) == body, "and messages");
  if (const auto number = decode_number(body))
    require(encode_number(number->number, number->rest) == body, "and numbers");
  if (const auto out = decode_output(body)) {
    const auto again = encode_output(static_cast<int>(out->number), out->stream, out->rest);
    require(again == body, "and output");
  }
}

net::Bytes any_body(Input& in) {
  switch (in.below(6)) {
    case 0:
      return encode_texts({in.text(8), in.text(8), in.text(8), in.text(8), in.text(8)});
    case 1: {
      HostOrder order{
          in.text(4), in.text(9), in.text(9), "h", {in.text(9)}, {in.text(9)}, {}, {}, {}};
      order.binding = {
          static_cast<MachinePart>(in.below(7)), static_cast<MachinePart>(in.below(7))};
      const int ranks = static_cast<int>(in.below(4));
      for (int i = 0; i < ranks; ++i)
        order.places.push_back({i, ranks, i, ranks, 0, static_cast<int>(in.below(3)), "h"});
      return encode_order(order);
    }
    case 2:
      return encode_message(any_message(in));
    case 3:
      return encode_output(static_cast<int>(in.byte()), in.byte(), in.text(9));
    case 4:
      return encode_facts({in.text(4), {{in.text(4), in.text(9)}}, in.text(9), ""});
    default:
      return in.bytes(40);
  }
}

std::string frame_of(FrameKind kind, const net::Bytes& body) {
  return encode_head(kind, body.size()) + std::string(body.begin(), body.end());
}

void check_frames(Input& in) {
  constexpr size_t kMost = 512;
  const bool greeted = in.flag();
  const size_t piece = 1 + in.byte();
  std::string bytes = greeted ? "" : in.text(20) + (in.flag() ? "\n" + greeting_line("1") : "");
  for (size_t n = in.below(6); n > 0; --n) {
    const auto kind = static_cast<FrameKind>(in.below(24));
    bytes += in.byte() < 220 ? frame_of(kind, any_body(in)) : in.text(9);
  }
  FrameReader reader(kMost, greeted);
  FrameReader::Next next = FrameReader::Next::More;
  for (std::string_view left = bytes; !left.empty();) {
    reader.feed(left.substr(0, piece));
    left.remove_prefix(std::min(piece, left.size()));
    Frame frame;
    const bool was_wrong = next == FrameReader::Next::Wrong;
    next = reader.next(frame);
    require(!was_wrong || next == FrameReader::Next::Wrong, "what is wrong stays wrong");
    for (; next == FrameReader::Next::Got; next = reader.next(frame)) {
      require(frame.body.size() <= kMost, "a frame is bounded");
      check_body(frame.body);
    }
  }
}

void check_texts_of_hosts(Input& in) {
  constexpr int kStatuses[] = {127 << 8, 126 << 8, 255 << 8, SIGKILL};
  const int status = in.flag() ? in.number<uint16_t>() : in.one_of(kStatuses);
  std::string errors = in.text(80);
  if (in.flag())
    errors += in.flag() ? "Permission denied (publickey)." : "Connection refused\n";
  for (const std::string& text : {ssh_failure("h", status, errors, "/own"), last_line_of(errors)})
    require(text == printable(text, text.size() + 1), "what ssh says is shown in clean text");
  constexpr const char* kNames[] = {"eth0", "ib0", ",", " ", "a-name-of-more-than-15"};
  std::string names = in.text(20);
  for (size_t n = in.below(8); n > 0; --n) names += in.one_of(kNames);
  const auto interfaces = parse_interfaces(names);
  require(!interfaces || !interfaces.value().empty(), "interfaces have names");
}

}  // namespace

void launcher_channel(Input in) {
  switch (in.below(8)) {
    case 4:
    case 5:
      return check_frames(in);
    case 6:
      return check_body(any_body(in));
    case 7:
      return check_texts_of_hosts(in);
    case 0:
      return check_lines(in);
    case 1:
      return check_columns(in);
    default:
      return check_supervisor(in);
  }
}

}  // namespace farandole::fuzz

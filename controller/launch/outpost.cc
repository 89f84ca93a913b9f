#include "controller/launch/outpost.h"

#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "controller/launch/help.h"
#include "controller/launch/job_start.h"
#include "controller/launch/outpost_input.h"
#include "controller/launch/outpost_link.h"
#include "controller/launch/outpost_preparation.h"
#include "controller/launch/poll_wait.h"
#include "controller/launch/process_tree.h"
#include "controller/launch/signals.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/uninterrupted.h"

namespace farandole::launch {
namespace {

// After a killed agent its keepers end their ranks within the lease's grace; then they are killed.
constexpr Duration kOrphanTime = kLeaseGrace + std::chrono::milliseconds(500);
// What SIGKILL does not end in this time hangs in the kernel; and so long may the last words take.
constexpr Duration kLastTime = std::chrono::seconds(10);

class Outpost {
 public:
  Outpost(
      OutpostLink link,
      SignalReader signals,
      const StartConditions& before,
      Environment environment)
      : link_(std::move(link)),
        signals_(std::move(signals)),
        before_(before),
        environment_(std::move(environment)),
        lease_(steady_now() + kLease) {}
  int run();

 private:
  void wait_for_events();
  std::vector<pollfd> descriptors() const;
  std::optional<TimePoint> deadline() const;
  void on_link();
  void on_frame(const Frame& frame);
  void on_prepare(const Frame& frame);
  Status start();
  void on_relay(const Message& message);
  void pass_input();
  void on_agent();
  void report(const Message& message) { link_.send(FrameKind::Report, encode_message(message)); }
  void on_signals();
  void on_deadline();
  bool read_output(RankInput& input);
  void drain();
  void lose();
  void finish();

  OutpostLink link_;
  SignalReader signals_;
  StartConditions before_;
  Environment environment_;
  std::optional<TimePoint> lease_;  // none while the launcher is stopped
  std::optional<TimePoint> sweep_;  // when what is left is killed, and then given up
  std::vector<HeldPort> ports_;
  JobKeys keys_;
  std::optional<HostOrder> order_;
  JobPlan plan_;
  std::optional<StartedJob> job_;
  OutpostInput input_;
  size_t window_ = kOutputWindow;
  std::optional<int> agent_status_;
  bool clean_ = false;  // nothing of the job is left here
  bool killed_ = false;
  bool lost_ = false;  // nobody hears us any more
  std::vector<char> buffer_ = std::vector<char>(kPieceBytes);
};

int Outpost::run() {
  link_.send_text(greeting_line(version_number()));
  link_.send(FrameKind::Facts, encode_facts(own_facts(environment_)));
  while (!(clean_ && agent_status_) && !(lost_ && !job_)) {
    wait_for_events();
    on_deadline();
  }
  finish();
  return lost_ ? 1 : 0;
}

std::vector<pollfd> Outpost::descriptors() const {
  std::vector<pollfd> fds{
      {signals_.fd(), POLLIN, 0},
      {link_.in_fd(), POLLIN, 0},
      {link_.wants_write() ? link_.out_fd() : -1, POLLOUT, 0},
      {input_.waiting_fd(), POLLOUT, 0}};
  await_strangers(ports_, fds);  // none while there is a job
  if (!job_)
    return fds;
  const short events = job_->channel.wants_write() ? POLLIN | POLLOUT : POLLIN;
  fds.push_back({job_->channel.fd(), events, 0});
  for (const RankInput& rank : job_->inputs)
    fds.push_back({(window_ > 0 || lost_) && !rank.broken ? rank.fd.get() : -1, POLLIN, 0});
  return fds;
}

std::optional<TimePoint> Outpost::deadline() const {
  if (sweep_)
    return sweep_;
  return lost_ ? std::nullopt : lease_;
}

void Outpost::wait_for_events() {
  if (!link_.is_heard() && !lost_)
    return lose();
  std::vector<pollfd> fds = descriptors();
  poll_until(fds, deadline());
  turn_away_strangers(ports_);
  for (size_t i = 5; job_ && i < fds.size(); ++i) {
    if (fds[i].revents)
      read_output(job_->inputs[i - 5]);
  }
  if (job_)
    std::erase_if(job_->inputs, [](const RankInput& rank) { return !rank.fd; });
  if (job_ && fds[4].revents)
    on_agent();
  if (fds[3].revents)
    pass_input();
  if (fds[2].revents)
    link_.flush();
  if (fds[1].revents)
    on_link();
  if (fds[0].revents)
    on_signals();
}

void Outpost::on_link() {
  const bool more = link_.read_some() != OutpostLink::Read::End;
  Frame frame;
  FrameReader::Next next = link_.next(frame);
  for (; next == FrameReader::Next::Got && !lost_; next = link_.next(frame)) {
    lease_ = steady_now() + kLease;
    on_frame(frame);
    if (frame.kind == FrameKind::Secret)
      explicit_bzero(frame.body.data(), frame.body.size());
  }
  if (!more || next == FrameReader::Next::Wrong)
    lose();
}

void Outpost::on_frame(const Frame& frame) {
  FARANDOLE_FAILPOINT("outpost.on_frame");
  const auto texts = decode_texts(frame.body);
  const auto number = decode_number(frame.body);
  const auto message = decode_relayed(frame.body);
  if (frame.kind == FrameKind::Listen && !job_ && texts && texts->size() <= kMaxCandidates) {
    ports_ = hold_ports(*texts);
    link_.send(FrameKind::Listening, encode_texts(what_is_held(ports_)));
  } else if (frame.kind == FrameKind::Probe && texts && texts->size() <= kMaxCandidates) {
    const auto tried = try_endpoints(*texts, ports_, steady_now() + kProbeTime);
    link_.send(FrameKind::Probed, encode_texts(tried));
  } else if (frame.kind == FrameKind::Secret && frame.body.size() == Secret::kMinBytes) {
    keys_.secret = Secret(frame.body);
  } else if (frame.kind == FrameKind::Prepare && !job_) {
    on_prepare(frame);
  } else if (frame.kind == FrameKind::Start && order_ && !job_) {
    if (const Status started = start(); !started)
      link_.send(FrameKind::Refused, encode_number(1, started.message()));
  } else if (frame.kind == FrameKind::Relay && message) {
    on_relay(*message);
  } else if (frame.kind == FrameKind::Input) {
    input_.add(frame.body);
    pass_input();
  } else if (frame.kind == FrameKind::InputEnd) {
    input_.end();
    pass_input();
  } else if (frame.kind == FrameKind::OutputTaken && number) {
    window_ = std::min(kOutputWindow, window_ + number->number);
  }
}

void Outpost::on_prepare(const Frame& frame) {
  for (HeldPort& port : ports_) port.listener.reset();  // everybody has tried them
  auto order = decode_order(frame.body);
  Refusal refusal{1, "the order was garbled on its way"};
  if (order && !keys_.secret.empty())
    refusal = prepare(*order, environment_, plan_);
  if (refusal.exit_code != 0)
    return link_.send(
        FrameKind::Refused, encode_number(static_cast<uint32_t>(refusal.exit_code), refusal.text));
  keys_.job = order->job;
  order_ = std::move(order);
  std::vector<std::string> bound;
  for (const CpuSet& cpus : plan_.cpus) {
    if (bound.size() < kMostBindingsTold)
      bound.push_back(cpu_list(cpus));
  }
  link_.send(FrameKind::Prepared, encode_texts(bound));
}

Status Outpost::start() {
  HeldPort port{{}, {}, order_->controller, {}};
  if (order_->controller.empty()) {
    auto own = hold_port("");
    if (!own)
      return own.status();
    port = std::move(own).value();
  }
  for (HeldPort& held : ports_) {
    if (held.endpoint == order_->controller)
      port.holder = std::move(held.holder);
  }
  ports_.clear();  // before rank 0 listens: nobody else is to take its connections
  if (order_->places.front().rank == 0)
    FARANDOLE_RETURN_IF_ERROR(input_.open());
  auto resources = make_job_resources(keys_, std::move(port));
  if (!resources)
    return resources.status();
  keys_.secret = Secret();
  auto job = start_job(plan_, std::move(resources).value(), before_);
  if (!job)
    return job.status();
  job_ = std::move(job).value();
  return Status::ok();
}

void Outpost::on_relay(const Message& message) {
  if (!job_ || (message.kind != MessageKind::Signal && message.kind != MessageKind::End))
    return;
  job_->channel.send(message);
  if (message.kind == MessageKind::Signal && message.value == SIGTSTP)
    lease_.reset();  // the launcher stops with its ranks, for as long as its user likes
}

void Outpost::pass_input() {
  if (const size_t taken = input_.pass())
    link_.send(FrameKind::InputTaken, encode_number(static_cast<uint32_t>(taken)));
}

void Outpost::on_agent() {
  Message message;
  job_->channel.flush();
  while (job_->channel.receive(message) == Channel::Receive::Got) report(message);
}

void Outpost::on_signals() {
  while (const auto event = signals_.next()) {
    if (event->number == SIGTERM)
      lose();
  }
  const ReapResult result = reap_children();
  for (const Reaped& ended : result.ended) {
    if (!job_ || ended.pid != job_->agent)
      continue;
    on_agent();  // what it said before it ended
    job_->channel.close();
    agent_status_ = ended.status;
    sweep_ = steady_now() + kOrphanTime;
  }
  clean_ = job_ && (result.childless || (agent_status_ == 0));
  if (killed_ && !clean_)
    signal_descendants(SIGKILL);
}

void Outpost::on_deadline() {
  const TimePoint now = steady_now();
  if (sweep_ && now >= *sweep_) {
    if (killed_) {  // they hang in the kernel
      clean_ = true;
      agent_status_ = agent_status_.value_or(SIGKILL);
      report({.kind = MessageKind::Stuck, .value = 1});
      return;
    }
    killed_ = true;
    sweep_ = now + kLastTime;
    signal_descendants(SIGKILL);
  } else if (!sweep_ && !lost_ && lease_ && now >= *lease_) {
    lose();
  }
}

// False where nothing was there, and for good where the stream has ended or cannot be read.
bool Outpost::read_output(RankInput& input) {
  const size_t most = lost_ ? buffer_.size() : std::min(buffer_.size(), window_);
  if (most == 0)
    return false;
  const ssize_t got = uninterrupted([&] {
    return FARANDOLE_FAIL_CALL(
        "outpost.read_output.read", read(input.fd.get(), buffer_.data(), most));
  });
  if (got < 0 && errno == EAGAIN)
    return false;
  const auto stream = static_cast<uint8_t>(input.stream);
  if (got < 0) {
    input.broken = true;
    report({.kind = MessageKind::OutputUnreadable, .rank = input.rank, .value = errno});
  } else if (got == 0) {
    input.fd.reset();
  }
  if (got <= 0) {
    link_.send(FrameKind::OutputEnd, encode_output(input.rank, stream));
    return false;
  }
  if (lost_)
    return true;
  window_ -= static_cast<size_t>(got);
  const std::string_view bytes(buffer_.data(), static_cast<size_t>(got));
  link_.send(FrameKind::Output, encode_output(input.rank, stream, bytes));
  return true;
}

// Nobody is to hear of what is here any more: the agent's lease runs out, and it ends everything.
void Outpost::lose() {
  if (lost_)
    return;
  lost_ = true;
  link_.close();
  input_.drop();
  if (job_) {
    job_->channel.close();
    sweep_ = steady_now() + plan_.grace + kLastTime;
  }
}

// Whoever wrote is gone: what is left stands in the pipes.
void Outpost::drain() {
  for (RankInput& input : job_->inputs) {
    while (input.fd && !input.broken && window_ > 0) {
      if (read_output(input) || !input.fd || input.broken)
        continue;
      // Something outside of the job holds the other end.
      input.fd.reset();
      link_.send(
          FrameKind::OutputEnd, encode_output(input.rank, static_cast<uint8_t>(input.stream)));
    }
  }
  std::erase_if(job_->inputs, [](const RankInput& rank) { return !rank.fd || rank.broken; });
}

// A launcher whose reader is slow takes the last output as it can; one that is gone says so.
void Outpost::finish() {
  sweep_.reset();
  while (job_ && !lost_) {
    drain();
    if (job_->inputs.empty())
      break;
    wait_for_events();
    on_deadline();
  }
  if (lost_)
    return;
  link_.send(FrameKind::AgentEnd, encode_number(static_cast<uint32_t>(*agent_status_)));
  const TimePoint latest = steady_now() + kLastTime;
  while (link_.wants_write() && steady_now() < latest) {
    std::array<pollfd, 1> fds{{{link_.out_fd(), POLLOUT, 0}}};
    poll_until(fds, latest);
    link_.flush();
  }
}

// The descriptors that ssh's connection stands behind; 0 and 1 become nothing.
Result<OutpostLink> take_standard_streams() {
  UniqueFd in(FARANDOLE_FAIL_CALL(
      "outpost.take_standard_streams.fcntl", fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)));
  UniqueFd out(FARANDOLE_FAIL_CALL(
      "outpost.take_standard_streams.2.fcntl", fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)));
  if (!in || !out)
    return system_error("fcntl(F_DUPFD)", errno);
  point_at_null(STDIN_FILENO);
  point_at_null(STDOUT_FILENO);
  return OutpostLink::over(std::move(in), std::move(out), kMaxOrderBytes, true);
}

}  // namespace

int run_outpost(const Environment& environment) {
  prctl(PR_SET_NAME, "fdl-outpost");
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const auto before = start_conditions();
  auto signals = SignalReader::open(helper_signals());
  auto link = take_standard_streams();
  for (const Status& status : {before.status(), signals.status(), link.status()}) {
    if (!status) {
      write_all(STDERR_FILENO, "farandolerun: " + status.message() + "\n");
      return 1;
    }
  }
  return Outpost(std::move(link).value(), std::move(signals).value(), before.value(), environment)
      .run();
}

}  // namespace farandole::launch

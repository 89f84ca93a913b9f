#include "controller/launch/job_loop.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "controller/launch/job_hosts.h"
#include "controller/launch/job_start.h"
#include "controller/launch/job_words.h"
#include "controller/launch/output_files.h"
#include "controller/launch/poll_wait.h"
#include "controller/launch/process_tree.h"
#include "controller/launch/remote_hosts.h"
#include "controller/launch/report.h"
#include "controller/launch/signals.h"
#include "controller/launch/supervisor.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/uninterrupted.h"

namespace farandole::launch {
namespace {

constexpr size_t kReadBytes = 64 << 10;

class JobLoop final : private RemoteEvents {
 public:
  JobLoop(
      const JobPlan& plan,
      const JobSettings& settings,
      OutputFiles files,
      SignalReader signals,
      JobHosts hosts);
  int run();

 private:
  void wait_for_events();
  void collect(std::vector<pollfd>& fds) const;
  bool read_input(RankInput& input);
  void on_signals();
  void on_signal(const SignalEvent& event);
  void on_agent();
  void reap();
  bool is_apart(pid_t pid) const;
  void send_all(const Message& message);
  void signal_all(int number);
  void give_orders();
  void stop_with_ranks(const SignalEvent& event);
  void drain();
  void on_report(const Message& message) override;
  bool takes_output(Stream stream) const override { return !output_.full(stream); }
  void on_output(int rank, Stream stream, std::string_view bytes) override;
  void on_output_end(int rank, Stream stream) override { output_.finish(rank, stream); }
  void on_host_end(const RemoteHost& host, int status, bool lost) override;
  void on_input_lost(int why) override;
  void tell(const std::string& text);
  int last_word();

  const JobPlan& plan_;
  const JobSettings& settings_;
  OutputFiles files_;
  SignalReader signals_;
  std::vector<int> host_of_rank_;
  std::vector<std::string> bound_;
  StartedJob job_;
  RemoteHosts remote_;
  std::vector<pid_t> foreign_;
  Output output_;
  Supervisor supervisor_;
  std::vector<char> buffer_ = std::vector<char>(kReadBytes);
  std::optional<TimePoint> timeout_at_;
  std::vector<int> running_at_end_;
  bool ending_ = false;
  bool sweeping_ = false;          // the launcher itself kills what is left
  bool finished_ = false;          // nothing of the job is left
  bool abandoned_output_ = false;  // nobody reads it, or the user asked twice to end
  bool here_done_ = false;         // nothing of the job is left on this host
  std::string connection_;         // what ssh said when a host was lost
};

JobLoop::JobLoop(
    const JobPlan& plan,
    const JobSettings& settings,
    OutputFiles files,
    SignalReader signals,
    JobHosts hosts)
    : plan_(plan),
      settings_(settings),
      files_(std::move(files)),
      signals_(std::move(signals)),
      host_of_rank_(hosts.host_of_rank),
      bound_(std::move(hosts.bound)),
      job_(std::move(hosts.here)),
      remote_(std::move(hosts.remote), hosts.input_is_remote),
      foreign_(job_.foreign),
      output_(settings.targets, static_cast<int>(plan.places.size())),
      supervisor_(
          {.ranks = static_cast<int>(plan.places.size()),
           .grace = plan.grace,
           .timeout = settings.timeout,
           .hosts = host_of_rank_},
          steady_now()),
      here_done_(job_.agent < 0) {
  if (settings.timeout)
    timeout_at_ = steady_now() + *settings.timeout;
}

int JobLoop::run() {
  tell(plan_text(plan_, settings_.here, settings_.host, job_.agent));
  for (size_t rank = 0; rank < bound_.size(); ++rank) {
    if (!bound_[rank].empty())
      tell(binding_text(plan_.places[rank], bound_[rank], plan_.binding));
  }
  remote_.start();
  while (!finished_ && supervisor_.phase() != Supervisor::Phase::GivenUp) {
    wait_for_events();
    supervisor_.on_time(steady_now());
    give_orders();
  }
  drain();
  return last_word();
}

void JobLoop::collect(std::vector<pollfd>& fds) const {
  fds.push_back({signals_.fd(), POLLIN, 0});
  const short events = job_.channel.wants_write() ? POLLIN | POLLOUT : POLLIN;
  fds.push_back({job_.channel.fd(), events, 0});
  for (const Stream stream : {Stream::Out, Stream::Err})
    fds.push_back({output_.waiting_fd(stream), POLLOUT, 0});
  for (const RankInput& input : job_.inputs)
    fds.push_back({input.broken || output_.full(input.stream) ? -1 : input.fd.get(), POLLIN, 0});
  remote_.collect(fds);
}

void JobLoop::wait_for_events() {
  std::vector<pollfd> fds;
  collect(fds);
  auto deadline = supervisor_.deadline();
  if (const auto beat = remote_.deadline())
    deadline = deadline ? std::min(*deadline, *beat) : *beat;
  poll_until(fds, deadline);
  for (size_t i = 0; i < job_.inputs.size(); ++i) {
    if (fds[i + 4].revents)
      read_input(job_.inputs[i]);
  }
  std::erase_if(job_.inputs, [](const RankInput& input) { return !input.fd; });
  remote_.handle(*this);
  if (!output_.write_some()) {
    abandoned_output_ = true;
    supervisor_.on_output_closed(steady_now());
  }
  if (fds[1].revents & POLLOUT)
    job_.channel.flush();
  if (fds[1].revents & ~POLLOUT)
    on_agent();
  if (fds[0].revents)
    on_signals();
}

// False where nothing was there, and for good where the stream has ended or cannot be read.
bool JobLoop::read_input(RankInput& input) {
  if (output_.full(input.stream))
    return false;
  const size_t most = FARANDOLE_FAIL_SIZE("job_loop.read_input.read", buffer_.size());
  const ssize_t got = uninterrupted([&] {
    return FARANDOLE_FAIL_CALL(
        "job_loop.read_input.read", read(input.fd.get(), buffer_.data(), most));
  });
  if (got < 0 && errno == EAGAIN)
    return false;
  if (got > 0) {
    on_output(input.rank, input.stream, {buffer_.data(), static_cast<size_t>(got)});
    return true;
  }
  if (got < 0) {
    input.broken = true;
    supervisor_.on_output_unreadable(input.rank, errno, steady_now());
  } else {
    input.fd.reset();
  }
  output_.finish(input.rank, input.stream);
  return false;
}

void JobLoop::on_output(int rank, Stream stream, std::string_view bytes) {
  if (const Status lost = files_.write(rank, stream, bytes); !lost)
    output_.say(fmt::format("farandolerun: warning: {}\n", lost.message()));
  output_.feed(rank, stream, bytes);
}

void JobLoop::on_agent() {
  Message message;
  while (job_.channel.receive(message) == Channel::Receive::Got) on_report(message);
}

void JobLoop::on_report(const Message& message) {
  if (const std::string text = message_text(message); !text.empty())
    tell(text);
  supervisor_.on_message(message, steady_now());
}

void JobLoop::on_host_end(const RemoteHost& host, int status, bool lost) {
  if (lost && connection_.empty())
    connection_ = host.refusal.empty() ? last_line_of(host.error_text()) : host.refusal;
  const Cause cause = lost ? Cause::HostLost : Cause::AgentLost;
  supervisor_.on_agent_end(status, steady_now(), host.index, cause);
}

void JobLoop::on_input_lost(int why) {
  const Status lost = system_error("standard input is lost from here on: read", why);
  output_.say(fmt::format("farandolerun: warning: {}\n", lost.message()));
}

void JobLoop::on_signals() {
  while (const auto event = signals_.next()) on_signal(*event);
  reap();
}

void JobLoop::on_signal(const SignalEvent& event) {
  switch (event.number) {
    case SIGHUP:
    case SIGINT:
    case SIGQUIT:
    case SIGTERM:
      tell(fmt::format("{} received", signal_name(event.number)));
      abandoned_output_ = abandoned_output_ || supervisor_.phase() >= Supervisor::Phase::Ending;
      supervisor_.on_end_signal(event.number, event.from_terminal, steady_now());
      return;
    case SIGTSTP:
    case SIGTTIN:
      return stop_with_ranks(event);
    case SIGUSR1:
    case SIGUSR2:
      send_all({.kind = MessageKind::Signal, .value = event.number});
      return;
    default:
      return;
  }
}

// Ctrl-Z: the ranks stop with the launcher, and go on with it.
void JobLoop::stop_with_ranks(const SignalEvent& event) {
  send_all({.kind = MessageKind::Signal, .value = SIGTSTP, .flag = event.from_terminal});
  stop_self(event.number);
  send_all({.kind = MessageKind::Signal, .value = SIGCONT});
}

void JobLoop::send_all(const Message& message) {
  job_.channel.send(message);
  remote_.send(message);
}

void JobLoop::reap() {
  FARANDOLE_FAILPOINT("job_loop.reap");
  const ReapResult result = reap_children();
  finished_ = result.childless;
  for (const Reaped& ended : result.ended) {
    std::erase(foreign_, ended.pid);
    if (remote_.on_end(ended.pid, ended.status, *this) || ended.pid != job_.agent)
      continue;
    on_agent();  // what it said before it ended
    job_.channel.close();
    // An agent that ends by itself has left nothing; after a killed one the rest is inherited.
    here_done_ = ended.status == 0;
    supervisor_.on_agent_end(ended.status, steady_now(), host_index(plan_, settings_.here));
  }
  if (!here_done_ && !job_.channel.is_open() && !foreign_.empty())
    here_done_ = signal_descendants(0, [this](pid_t pid) { return is_apart(pid); }) == 0;
  // Children that an ssh of the user's own configuration leaves are not the job's.
  finished_ = finished_ || (here_done_ && remote_.all_ended());
  if (sweeping_ && !finished_)
    signal_all(SIGKILL);
}

// Not of this host's ranks: what was there before, and until the last resort ways to other hosts.
bool JobLoop::is_apart(pid_t pid) const {
  return std::find(foreign_.begin(), foreign_.end(), pid) != foreign_.end() ||
         (!sweeping_ && remote_.is_ssh(pid));
}

void JobLoop::signal_all(int number) {
  signal_descendants(number, [this](pid_t pid) { return is_apart(pid); });
}

void JobLoop::give_orders() {
  if (!sweeping_ && supervisor_.phase() == Supervisor::Phase::Sweeping) {
    sweeping_ = true;
    signal_all(SIGKILL);
  }
  if (!ending_ && supervisor_.phase() != Supervisor::Phase::Running) {
    ending_ = true;
    running_at_end_ = supervisor_.running();
  }
  for (const Message& order : supervisor_.take_orders()) {
    send_all(order);
    // With the agent gone, the launcher has inherited everything; keepers take SIGTERM as an order.
    if (order.kind == MessageKind::End && !here_done_ && !job_.channel.is_open())
      signal_all(order.time == 0 ? SIGKILL : SIGTERM);
  }
}

// Whoever wrote is gone: what is left stands in the pipes. A reader of ours that is slow is waited
// for, as any program waits that writes to it; signals and --timeout end that.
void JobLoop::drain() {
  FARANDOLE_FAILPOINT("job_loop.drain");
  while (!abandoned_output_ &&
         (!job_.inputs.empty() || !remote_.pass_output(*this) || !output_.empty())) {
    for (RankInput& input : job_.inputs) {
      while (input.fd && !input.broken && !output_.full(input.stream)) {
        if (read_input(input) || !input.fd || input.broken)
          continue;
        output_.finish(input.rank, input.stream);
        input.fd.reset();  // something outside of the job holds the other end
      }
    }
    std::erase_if(job_.inputs, [](const RankInput& input) { return !input.fd || input.broken; });
    if (!output_.write_some())
      abandoned_output_ = true;
    if (output_.empty())
      continue;
    std::array<pollfd, 3> fds{
        {{signals_.fd(), POLLIN, 0},
         {output_.waiting_fd(Stream::Out), POLLOUT, 0},
         {output_.waiting_fd(Stream::Err), POLLOUT, 0}}};
    poll_until(fds, timeout_at_);
    if (timeout_at_ && steady_now() >= *timeout_at_)
      abandoned_output_ = true;
    while (const auto event = signals_.next())
      abandoned_output_ = abandoned_output_ || event->number != SIGCHLD;
  }
}

void JobLoop::tell(const std::string& text) {
  if (settings_.verbose)
    output_.say("farandolerun: " + text + "\n");
}

int JobLoop::last_word() {
  const Outcome outcome = supervisor_.outcome([this](int rank) {
    const auto& lines = output_.tail(rank).lines();
    return std::any_of(lines.begin(), lines.end(), tells_of_a_lost_peer);
  });
  const ReportContext context{
      host_of(plan_, outcome, settings_.here, settings_.host),
      plan_.path,
      running_at_end_,
      settings_.timeout.value_or(Duration{}),
      connection_};
  const Tail none;
  const Tail& tail = outcome.rank >= 0 ? output_.tail(outcome.rank) : none;
  write_all(STDERR_FILENO, final_report(outcome, context, tail));
  return exit_code_of(outcome);
}

// Opened before anything is started, so that a job whose output cannot be kept is none.
Result<OutputFiles> open_files(const JobPlan& plan, const std::string& folder) {
  if (folder.empty())
    return OutputFiles();
  const int ranks = static_cast<int>(plan.places.size());
  FARANDOLE_RETURN_IF_ERROR(ensure_open_files(open_files_of(plan) + 2 * plan.places.size(), ranks));
  return OutputFiles::open(folder, ranks);
}

}  // namespace

Result<int> run_job_loop(const JobPlan& plan, const JobSettings& settings) {
  const auto before = start_conditions();
  if (!before)
    return before.status();
  auto signals = SignalReader::open(launcher_signals());
  if (!signals)
    return signals.status();
  auto files = open_files(plan, settings.output_folder);
  if (!files)
    return files.status();
  auto hosts =
      start_on_hosts(plan, settings.here, settings.connector, before.value(), signals.value());
  if (!hosts)
    return hosts.status();
  if (hosts.value().exit_code != 0) {
    write_all(STDERR_FILENO, failure_text(hosts.value().text, hosts.value().exit_code));
    return hosts.value().exit_code;
  }
  return JobLoop(
             plan,
             settings,
             std::move(files).value(),
             std::move(signals).value(),
             std::move(hosts).value())
      .run();
}

}  // namespace farandole::launch

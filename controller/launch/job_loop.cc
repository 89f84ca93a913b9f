#include "controller/launch/job_loop.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "controller/launch/poll_wait.h"
#include "controller/launch/process_tree.h"
#include "controller/launch/report.h"
#include "controller/launch/signals.h"
#include "controller/launch/supervisor.h"
#include "core/base/format.h"

namespace farandole::launch {
namespace {

constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kFdsBesideRanks = 64;

struct RankInput {
  int rank = 0;
  Stream stream = Stream::Out;
  UniqueFd fd;
};

struct StartedJob {
  pid_t agent = -1;
  Channel channel;
  std::vector<RankInput> inputs;
};

class JobLoop {
 public:
  JobLoop(const JobPlan& plan, const JobSettings& settings, SignalReader signals, StartedJob job);
  int run();

 private:
  void wait_for_events();
  void collect(std::vector<pollfd>& fds) const;
  void read_input(RankInput& input);
  void on_signals();
  void on_signal(const SignalEvent& event);
  void on_agent();
  void reap();
  void give_orders();
  void stop_with_ranks(int number);
  void drain();
  void tell(const std::string& text);
  void tell_about(const Message& message);
  int last_word();

  const JobPlan& plan_;
  const JobSettings& settings_;
  SignalReader signals_;
  StartedJob job_;
  Output output_;
  Supervisor supervisor_;
  std::vector<char> buffer_ = std::vector<char>(kReadBytes);
  std::vector<int> running_at_end_;
  bool ending_ = false;
  bool sweeping_ = false;  // the launcher itself kills what is left
  bool childless_ = false;
  bool abandoned_output_ = false;  // nobody reads it, or the user asked twice to end
};

JobLoop::JobLoop(
    const JobPlan& plan, const JobSettings& settings, SignalReader signals, StartedJob job)
    : plan_(plan),
      settings_(settings),
      signals_(std::move(signals)),
      job_(std::move(job)),
      output_(settings.targets, static_cast<int>(plan.places.size())),
      supervisor_(
          {.ranks = static_cast<int>(plan.places.size()),
           .grace = plan.grace,
           .timeout = settings.timeout},
          steady_now()) {}

int JobLoop::run() {
  tell(fmt::format(
      "{} x {} on {}, agent {}, {:g} usable cores, grace {:g} s",
      plan_.places.size(),
      printable(plan_.path, 256),
      settings_.host,
      job_.agent,
      plan_.cores,
      static_cast<double>(plan_.grace.count()) * 1e-9));
  while (!childless_ && supervisor_.phase() != Supervisor::Phase::GivenUp) {
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
    fds.push_back({output_.full(input.stream) ? -1 : input.fd.get(), POLLIN, 0});
}

void JobLoop::wait_for_events() {
  std::vector<pollfd> fds;
  collect(fds);
  poll_until(fds, supervisor_.deadline());
  for (size_t i = 0; i < job_.inputs.size(); ++i) {
    if (fds[i + 4].revents)
      read_input(job_.inputs[i]);
  }
  std::erase_if(job_.inputs, [](const RankInput& input) { return !input.fd; });
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

void JobLoop::read_input(RankInput& input) {
  if (output_.full(input.stream))
    return;
  const ssize_t got = read(input.fd.get(), buffer_.data(), buffer_.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN))
    return;
  if (got > 0) {
    output_.feed(input.rank, input.stream, {buffer_.data(), static_cast<size_t>(got)});
    return;
  }
  output_.finish(input.rank, input.stream);
  input.fd.reset();
}

void JobLoop::on_agent() {
  Message message;
  while (job_.channel.receive(message) == Channel::Receive::Got) {
    tell_about(message);
    supervisor_.on_message(message, steady_now());
  }
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
      return stop_with_ranks(event.number);
    case SIGUSR1:
    case SIGUSR2:
      job_.channel.send({.kind = MessageKind::Signal, .value = event.number});
      return;
    default:
      return;
  }
}

// Ctrl-Z: the ranks stop with the launcher, and go on with it.
void JobLoop::stop_with_ranks(int number) {
  job_.channel.send({.kind = MessageKind::Signal, .value = SIGTSTP, .flag = true});
  stop_self(number);
  job_.channel.send({.kind = MessageKind::Signal, .value = SIGCONT});
}

void JobLoop::reap() {
  const ReapResult result = reap_children();
  childless_ = result.childless;
  for (const Reaped& ended : result.ended) {
    if (ended.pid != job_.agent)
      continue;
    on_agent();  // what it said before it ended
    job_.channel.close();
    supervisor_.on_agent_end(ended.status, steady_now());
  }
  if (sweeping_ && !childless_)
    signal_descendants(SIGKILL);
}

void JobLoop::give_orders() {
  if (!sweeping_ && supervisor_.phase() == Supervisor::Phase::Sweeping) {
    sweeping_ = true;
    signal_descendants(SIGKILL);
  }
  if (!ending_ && supervisor_.phase() != Supervisor::Phase::Running) {
    ending_ = true;
    running_at_end_ = supervisor_.running();
  }
  for (const Message& order : supervisor_.take_orders()) {
    job_.channel.send(order);
    // With the agent gone, the launcher has inherited everything; keepers take SIGTERM as an order.
    if (order.kind == MessageKind::End && !job_.channel.is_open())
      signal_descendants(order.time == 0 ? SIGKILL : SIGTERM);
  }
}

// Whoever wrote is gone: what is left stands in the pipes. A reader of ours that is slow is waited
// for, as any program waits that writes to it; signals and --timeout end that.
void JobLoop::drain() {
  while (!abandoned_output_ && (!job_.inputs.empty() || !output_.empty())) {
    for (RankInput& input : job_.inputs) {
      while (input.fd && !output_.full(input.stream)) {
        pollfd entry{input.fd.get(), POLLIN, 0};
        if (poll(&entry, 1, 0) > 0) {
          read_input(input);
        } else {  // something outside of the job holds the other end
          output_.finish(input.rank, input.stream);
          input.fd.reset();
        }
      }
    }
    std::erase_if(job_.inputs, [](const RankInput& input) { return !input.fd; });
    if (!output_.write_some())
      abandoned_output_ = true;
    if (output_.empty())
      continue;
    std::array<pollfd, 3> fds{
        {{signals_.fd(), POLLIN, 0},
         {output_.waiting_fd(Stream::Out), POLLOUT, 0},
         {output_.waiting_fd(Stream::Err), POLLOUT, 0}}};
    poll_until(fds, std::nullopt);
    while (const auto event = signals_.next())
      abandoned_output_ = abandoned_output_ || event->number != SIGCHLD;
  }
}

void JobLoop::tell(const std::string& text) {
  if (settings_.verbose)
    output_.say("farandolerun: " + text + "\n");
}

void JobLoop::tell_about(const Message& message) {
  if (message.kind == MessageKind::Started)
    tell(fmt::format("rank {} started, pid {}", message.rank, message.pid));
  if (message.kind == MessageKind::Exited)
    tell(fmt::format(
        "rank {} ended with {}, peak memory {} MiB",
        message.rank,
        WIFSIGNALED(message.value) ? signal_name(WTERMSIG(message.value))
                                   : fmt::format("exit code {}", WEXITSTATUS(message.value)),
        message.detail / 1024));
}

int JobLoop::last_word() {
  const Outcome& outcome = supervisor_.outcome();
  const ReportContext context{
      settings_.host, plan_.path, running_at_end_, settings_.timeout.value_or(Duration{})};
  const Tail none;
  const Tail& tail = outcome.rank >= 0 ? output_.tail(outcome.rank) : none;
  write_all(STDERR_FILENO, final_report(outcome, context, tail));
  return exit_code_of(outcome);
}

// Everything is inherited by fork: the agent starts with the plan, its end of the channel and the
// write ends of the ranks' pipes.
Result<StartedJob> start_agent(
    const JobPlan& plan, const rlimit& open_files, const sigset_t& kept_ignored) {
  auto resources = make_job_resources();
  if (!resources)
    return resources.status();
  auto channel = Channel::make_pair();
  if (!channel)
    return channel.status();
  AgentJob agent;
  StartedJob job;
  for (size_t rank = 0; rank < plan.places.size(); ++rank) {
    auto output = make_pipe();
    auto error_output = make_pipe();
    if (!output || !error_output)
      return output ? error_output.status() : output.status();
    agent.outputs.push_back(
        {std::move(output.value().write), std::move(error_output.value().write)});
    job.inputs.push_back({static_cast<int>(rank), Stream::Out, std::move(output.value().read)});
    job.inputs.push_back(
        {static_cast<int>(rank), Stream::Err, std::move(error_output.value().read)});
  }
  agent.plan = &plan;
  agent.launcher = std::move(channel.value().second);
  agent.resources = std::move(resources).value();
  agent.open_files = open_files;
  agent.kept_ignored = kept_ignored;
  job.channel = std::move(channel.value().first);
  job.agent = fork();
  if (job.agent < 0)
    return system_error("fork", errno);
  if (job.agent == 0)
    run_agent(std::move(agent));
  return job;
}

}  // namespace

Result<int> run_job_loop(const JobPlan& plan, const JobSettings& settings) {
  rlimit open_files{};
  if (getrlimit(RLIMIT_NOFILE, &open_files) != 0)
    return system_error("getrlimit(RLIMIT_NOFILE)", errno);
  const size_t wanted = 4 * plan.places.size() + kFdsBesideRanks;
  FARANDOLE_RETURN_IF_ERROR(ensure_open_files(wanted, static_cast<int>(plan.places.size())));
  const sigset_t kept_ignored = ignored_signals();
  auto signals = SignalReader::open(launcher_signals());
  if (!signals)
    return signals.status();
  auto job = start_agent(plan, open_files, kept_ignored);
  if (!job)
    return job.status();
  return JobLoop(plan, settings, std::move(signals).value(), std::move(job).value()).run();
}

}  // namespace farandole::launch

#include "controller/launch/agent.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>

#include "controller/launch/keeper.h"
#include "controller/launch/poll_wait.h"
#include "controller/launch/process_tree.h"
#include "controller/launch/rank_environment.h"
#include "controller/launch/signals.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"

namespace farandole::launch {
namespace {

// Keepers end their ranks within the grace; when one is later than this, its tree is killed.
constexpr Duration kKeeperSlack = std::chrono::seconds(2);
constexpr Duration kKillTime = std::chrono::seconds(10);

struct KeeperProcess {
  int rank = 0;
  pid_t pid = 0;
  Channel channel;
  bool reported_end = false;  // of its rank
};

class Agent {
 public:
  Agent(AgentJob job, SignalReader signals) : job_(std::move(job)), signals_(std::move(signals)) {}
  void run();

 private:
  void deliver_reports();
  bool start_keeper(const Placement& place, int terminal_input, int null_input);
  void start_keepers();
  RankProgram program_of(const Placement& place) const;
  void wait_for_events();
  void on_launcher();
  void on_keeper(KeeperProcess& keeper);
  void on_signals();
  void on_keeper_end(KeeperProcess& keeper, int status);
  void end_all(Duration grace);
  void kill_all();
  void kill_strays();
  void on_deadline();
  bool is_keeper(pid_t pid) const;

  enum class Phase { Running, Ending, Killing, Done };
  AgentJob job_;
  SignalReader signals_;
  std::vector<std::unique_ptr<KeeperProcess>> keepers_;
  Phase phase_ = Phase::Running;
  std::optional<TimePoint> deadline_;
};

RankProgram Agent::program_of(const Placement& place) const {
  const JobPlan& plan = *job_.plan;
  const JobIdentity identity{
      job_.resources.job,
      job_.resources.controller,
      fmt::format("/proc/{}/fd/{}", getpid(), job_.resources.secret.get())};
  const RankOutputs& outputs = job_.outputs[static_cast<size_t>(place.local_rank)];
  RankProgram program;
  program.path = plan.path;
  program.argv = plan.argv;
  CoreShare cores{plan.cores, std::nullopt};
  if (!plan.cpus.empty()) {
    const auto index = static_cast<size_t>(place.local_rank);
    program.cpus = plan.cpus[index];
    cores.own = share_of(plan.cpus, index);
  }
  program.environment = rank_environment(plan.environment, place, identity, cores).entries();
  program.output = outputs.output.get();
  program.error = outputs.error.get();
  program.own_group = !(plan.share_terminal && place.rank == 0);
  program.open_files = job_.open_files;
  program.kept_ignored = job_.kept_ignored;
  return program;
}

// False where no process can be started.
bool Agent::start_keeper(const Placement& place, int terminal_input, int null_input) {
  auto keeper = std::make_unique<KeeperProcess>();
  keeper->rank = place.rank;
  auto ends = Channel::make_pair();
  if (!ends) {
    job_.launcher.send({.kind = MessageKind::StartFailed, .rank = place.rank, .value = EMFILE});
    return false;
  }
  KeeperJob task{place.rank, std::move(ends.value().second), program_of(place), job_.plan->grace};
  task.program.input = place.rank == 0 ? terminal_input : null_input;
  keeper->pid = FARANDOLE_FAIL_CALL("agent.start_keeper.fork", fork());
  if (keeper->pid < 0) {
    job_.launcher.send({.kind = MessageKind::StartFailed, .rank = place.rank, .value = errno});
    return false;
  }
  if (keeper->pid == 0)
    run_keeper(std::move(task));
  keeper->channel = std::move(ends.value().first);
  keepers_.push_back(std::move(keeper));
  return true;
}

void Agent::start_keepers() {
  const UniqueFd input(FARANDOLE_FAIL_CALL(
      "agent.start_keepers.fcntl", fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)));
  const UniqueFd null(
      FARANDOLE_FAIL_CALL("agent.start_keepers.open", open("/dev/null", O_RDONLY | O_CLOEXEC)));
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
    point_at_null(fd);  // whoever reads the launcher's output must not wait for this process
  for (const Placement& place : job_.plan->places) {
    if (!start_keeper(place, input.get(), null.get())) {
      end_all(job_.plan->grace);
      break;
    }
  }
  job_.outputs.clear();  // the readers see the end when the ranks have closed theirs
}

void Agent::run() {
  start_keepers();
  FARANDOLE_FAILPOINT("agent.run");
  while (phase_ != Phase::Done) {
    wait_for_events();
    if (deadline_ && steady_now() >= *deadline_)
      on_deadline();
  }
  deliver_reports();
}

// What the launcher has not read yet must reach it; one that is stopped gets some time.
void Agent::deliver_reports() {
  const TimePoint deadline = steady_now() + kKillTime;
  while (job_.launcher.wants_write() && steady_now() < deadline) {
    std::array<pollfd, 1> fds{{{job_.launcher.fd(), POLLOUT, 0}}};
    poll_until(fds, deadline);
    job_.launcher.flush();
  }
}

void Agent::wait_for_events() {
  std::vector<pollfd> fds;
  fds.push_back({signals_.fd(), POLLIN, 0});
  const auto events = [](const Channel& channel) -> short {
    return channel.wants_write() ? POLLIN | POLLOUT : POLLIN;
  };
  fds.push_back({job_.launcher.fd(), events(job_.launcher), 0});
  for (const auto& keeper : keepers_)
    fds.push_back({keeper->channel.fd(), events(keeper->channel), 0});
  poll_until(fds, deadline_);
  for (size_t i = 0; i < keepers_.size(); ++i) {
    if (fds[i + 2].revents & POLLOUT)
      keepers_[i]->channel.flush();
    if (fds[i + 2].revents & ~POLLOUT)
      on_keeper(*keepers_[i]);
  }
  if (fds[1].revents & POLLOUT)
    job_.launcher.flush();
  if (fds[1].revents & ~POLLOUT)
    on_launcher();
  if (fds[0].revents)
    on_signals();
}

void Agent::on_launcher() {
  Message message;
  while (true) {
    switch (job_.launcher.receive(message)) {
      case Channel::Receive::Got:
        for (const auto& keeper : keepers_) keeper->channel.send(message);
        if (message.kind == MessageKind::End)
          message.time == 0 ? kill_all() : end_all(Duration(message.time));
        break;
      case Channel::Receive::Empty:
        return;
      case Channel::Receive::Closed:
        return end_all(std::min(job_.plan->grace, kLeaseGrace));
    }
  }
}

void Agent::on_keeper(KeeperProcess& keeper) {
  Message message;
  while (keeper.channel.receive(message) == Channel::Receive::Got) {
    if (message.kind == MessageKind::Exited || message.kind == MessageKind::StartFailed)
      keeper.reported_end = true;
    job_.launcher.send(message);
  }
}

void Agent::on_signals() {
  while (const auto event = signals_.next()) {
    if (event->number == SIGTERM)
      end_all(job_.plan->grace);
  }
  const ReapResult result = reap_children();
  bool stray = false;
  for (const Reaped& ended : result.ended) {
    const auto keeper = std::find_if(
        keepers_.begin(), keepers_.end(), [&](const auto& k) { return k->pid == ended.pid; });
    if (keeper == keepers_.end()) {
      stray = true;
      continue;
    }
    on_keeper_end(**keeper, ended.status);
    keepers_.erase(keeper);
    stray = true;
  }
  if (result.childless)
    phase_ = Phase::Done;
  else if (phase_ == Phase::Killing)
    signal_descendants(SIGKILL);
  else if (stray)
    kill_strays();
}

void Agent::on_keeper_end(KeeperProcess& keeper, int status) {
  FARANDOLE_FAILPOINT("agent.on_keeper_end");
  on_keeper(keeper);  // what it said before it ended
  if (!keeper.reported_end)
    job_.launcher.send(
        {.kind = MessageKind::KeeperLost, .rank = keeper.rank, .pid = keeper.pid, .value = status});
}

// A keeper leaves nothing behind unless it was killed; then its rank's tree is ours, and the rank
// is lost in any case.
void Agent::kill_strays() {
  signal_descendants(SIGKILL, [this](pid_t pid) { return is_keeper(pid); });
}

bool Agent::is_keeper(pid_t pid) const {
  return std::any_of(
      keepers_.begin(), keepers_.end(), [&](const auto& keeper) { return keeper->pid == pid; });
}

void Agent::end_all(Duration grace) {
  if (phase_ >= Phase::Ending)
    return;
  FARANDOLE_FAILPOINT("agent.end_all");
  phase_ = Phase::Ending;
  deadline_ = steady_now() + grace + kKeeperSlack;
  for (const auto& keeper : keepers_)
    keeper->channel.send({.kind = MessageKind::End, .time = grace.count()});
  if (keepers_.empty())
    phase_ = Phase::Done;
}

void Agent::kill_all() {
  if (phase_ >= Phase::Killing)
    return;
  // The keepers have been told; they are given their time, then everything goes.
  phase_ = Phase::Ending;
  deadline_ = steady_now() + kKeeperSlack;
}

void Agent::on_deadline() {
  if (phase_ == Phase::Ending) {
    phase_ = Phase::Killing;
    deadline_ = steady_now() + kKillTime;
    // Where the tree cannot be seen, what the keepers leave is swept when they have ended.
    if (signal_descendants(SIGKILL) == 0)
      for (const auto& keeper : keepers_) kill(keeper->pid, SIGKILL);
    return;
  }
  job_.launcher.send(
      {.kind = MessageKind::Stuck, .value = static_cast<int32_t>(own_descendants().size())});
  phase_ = Phase::Done;
}

}  // namespace

void run_agent(AgentJob job) {
  prctl(PR_SET_NAME, "fdl-agent");
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  auto signals = SignalReader::open(helper_signals());
  if (signals) {
    std::vector<int> keep{
        job.launcher.fd(),
        signals.value().fd(),
        job.resources.secret.get(),
        job.resources.port_holder.get()};
    for (const RankOutputs& outputs : job.outputs) {
      keep.push_back(outputs.output.get());
      keep.push_back(outputs.error.get());
    }
    close_other_fds(std::move(keep));
    Agent(std::move(job), std::move(signals).value()).run();
  }
  _exit(0);
}

}  // namespace farandole::launch

#include "controller/launch/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "controller/launch/poll_wait.h"
#include "controller/launch/process_tree.h"
#include "controller/launch/signals.h"
#include "core/base/cgroup.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"

namespace farandole::launch {
namespace {

// What outlives the program may end by itself for so long: pipelines still empty their pipes.
constexpr Duration kNaturalEnd = std::chrono::seconds(1);
// After one that failed for half of what the others have to report: what only hears of its end when
// nobody holds its descriptors any more is to hear of it in time.
constexpr Duration kNaturalEndOfFailed = kReportTime / 2;
// A process that SIGKILL does not end in this time hangs in the kernel.
constexpr Duration kKillTime = std::chrono::seconds(10);

class Keeper {
 public:
  Keeper(KeeperJob job, SignalReader signals)
      : job_(std::move(job)), signals_(std::move(signals)), memory_kills_(memory_kills()) {}

  void run();

 private:
  enum class Phase { Running, Leaving, Terminating, Killing, Done };

  bool start();
  void wait_for_events();
  void on_exec_result();
  void on_signals();
  void on_messages();
  void on_message(const Message& message);
  void on_deadline();
  void reap();
  void on_program_end(const Reaped& ended);
  void terminate(Duration grace);
  void kill_all();
  void signal_tree(int number);
  void send(Message message);

  KeeperJob job_;
  SignalReader signals_;
  uint64_t memory_kills_;  // when the rank started
  SpawnedRank spawned_;
  bool started_ = false;
  bool ended_ = false;  // its number may be another process's by now
  Phase phase_ = Phase::Running;
  std::optional<TimePoint> deadline_;
};

void Keeper::run() {
  if (!start())
    return;
  while (phase_ != Phase::Done) {
    wait_for_events();
    if (deadline_ && steady_now() >= *deadline_)
      on_deadline();
  }
}

bool Keeper::start() {
  FARANDOLE_FAILPOINT("keeper.start");
  spawned_ = spawn_rank(job_.program);
  if (spawned_.error != 0) {
    send({.kind = MessageKind::StartFailed, .value = spawned_.error});
    return false;
  }
  // The program has its own copies now; while this process held any, no reader would see the end.
  close_other_fds({job_.agent.fd(), signals_.fd(), spawned_.exec_result.get()});
  return true;
}

void Keeper::wait_for_events() {
  const short agent_events = job_.agent.wants_write() ? POLLIN | POLLOUT : POLLIN;
  std::array<pollfd, 3> fds{
      {{signals_.fd(), POLLIN, 0},
       {job_.agent.fd(), agent_events, 0},
       {spawned_.exec_result.get(), POLLIN, 0}}};
  poll_until(fds, deadline_);
  if (fds[2].revents)
    on_exec_result();
  if (fds[1].revents & POLLOUT)
    job_.agent.flush();
  if (fds[1].revents & ~POLLOUT)
    on_messages();
  if (fds[0].revents)
    on_signals();
}

void Keeper::on_exec_result() {
  const int why = read_exec_result(spawned_.exec_result);
  spawned_.exec_result.reset();
  started_ = why == 0;
  FARANDOLE_FAILPOINT("keeper.on_exec_result");
  if (started_)
    send({.kind = MessageKind::Started, .pid = spawned_.pid});
  else
    send({.kind = MessageKind::StartFailed, .value = why});
}

void Keeper::on_signals() {
  while (const auto event = signals_.next()) {
    if (event->number == SIGTERM)
      terminate(job_.grace);
  }
  reap();
}

void Keeper::on_messages() {
  Message message;
  while (true) {
    switch (job_.agent.receive(message)) {
      case Channel::Receive::Got:
        on_message(message);
        break;
      case Channel::Receive::Empty:
        return;
      case Channel::Receive::Closed:
        terminate(std::min(job_.grace, kLeaseGrace));
        return;
    }
  }
}

void Keeper::on_message(const Message& message) {
  if (message.kind == MessageKind::End) {
    if (message.time == 0)
      kill_all();
    else
      terminate(Duration(message.time));
    return;
  }
  const bool got_it_already = message.flag && !job_.program.own_group;
  if (message.kind == MessageKind::Signal && !got_it_already)
    signal_group_below(message.value, job_.program.own_group ? spawned_.pid : getpgrp());
}

void Keeper::reap() {
  const ReapResult result = reap_children();
  for (const Reaped& ended : result.ended) {
    if (ended.pid == spawned_.pid)
      on_program_end(ended);
  }
  if (result.childless)
    phase_ = Phase::Done;
  else if (phase_ == Phase::Killing && !result.ended.empty())
    signal_descendants(SIGKILL);  // those that were forked while the last sweep went on
}

void Keeper::on_program_end(const Reaped& ended) {
  FARANDOLE_FAILPOINT("keeper.on_program_end");
  ended_ = true;
  if (spawned_.exec_result)
    on_exec_result();
  const bool killed = (WIFSIGNALED(ended.status) && WTERMSIG(ended.status) == SIGKILL) ||
                      (WIFEXITED(ended.status) && WEXITSTATUS(ended.status) == 128 + SIGKILL);
  if (started_)
    send(
        {.kind = MessageKind::Exited,
         .pid = ended.pid,
         .value = ended.status,
         .detail = ended.peak_kib,
         .flag = killed && memory_kills() > memory_kills_});
  if (phase_ == Phase::Running) {
    phase_ = Phase::Leaving;
    deadline_ = steady_now() + (ended.status == 0 ? kNaturalEnd : kNaturalEndOfFailed);
  }
}

void Keeper::terminate(Duration grace) {
  if (phase_ >= Phase::Terminating)
    return;
  FARANDOLE_FAILPOINT("keeper.terminate");
  phase_ = Phase::Terminating;
  deadline_ = steady_now() + grace;
  signal_tree(SIGTERM);
  signal_tree(SIGCONT);  // a stopped process takes SIGTERM only when it goes on
}

void Keeper::kill_all() {
  if (phase_ >= Phase::Killing)
    return;
  phase_ = Phase::Killing;
  deadline_ = steady_now() + kKillTime;
  signal_tree(SIGKILL);
}

// Where the tree cannot be seen, at least the program: what it leaves is swept when it has ended.
void Keeper::signal_tree(int number) {
  if (signal_descendants(number) == 0 && !ended_)
    kill(spawned_.pid, number);
}

void Keeper::on_deadline() {
  if (phase_ == Phase::Leaving)
    return terminate(job_.grace);
  if (phase_ == Phase::Terminating)
    return kill_all();
  if (phase_ == Phase::Killing) {
    const auto left = static_cast<int>(own_descendants().size());
    send({.kind = MessageKind::Stuck, .value = left});
    phase_ = Phase::Done;
  }
}

void Keeper::send(Message message) {
  message.rank = job_.rank;
  job_.agent.send(message);
}

}  // namespace

void run_keeper(KeeperJob job) {
  prctl(PR_SET_NAME, fmt::format("fdl-keeper-{}", job.rank).c_str());
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  auto signals = SignalReader::open(helper_signals());
  if (signals) {
    close_other_fds(
        {job.agent.fd(),
         signals.value().fd(),
         job.program.input,
         job.program.output,
         job.program.error});
    Keeper(std::move(job), std::move(signals).value()).run();
  }
  _exit(0);
}

}  // namespace farandole::launch

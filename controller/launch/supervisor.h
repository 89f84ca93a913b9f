#pragma once
// Decides what happens to a job: who failed first, who is told to end and when, when to use force.
// Pure: facts and the time go in, orders for the agent come out.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "controller/launch/channel.h"
#include "core/base/clock.h"

namespace farandole::launch {

enum class Cause {
  None,  // every rank ended with 0
  RankFailed,
  StartFailed,
  KeeperLost,  // the process that guards a rank ended
  AgentLost,   // the process that guards all ranks of a host ended
  HostLost,    // the connection to a host ended
  Signal,      // the launcher was told to end
  Timeout,
  OutputClosed,      // nobody reads the job's output any more
  OutputUnreadable,  // the system does not let the launcher read what a rank wrote
};

// How a job ended, or why it is being ended. The first cause stays.
struct Outcome {
  Cause cause = Cause::None;
  int rank = -1;
  int host = 0;   // of AgentLost and HostLost
  int value = 0;  // wait status, errno or signal number, by cause
  int pid = 0;
  Duration runtime{};
  TimePoint when;
  int64_t peak_kib = 0;
  bool out_of_memory = false;
  bool gave_up = false;  // processes are left that SIGKILL did not end
};

class Supervisor {
 public:
  struct Settings {
    int ranks = 1;
    Duration grace = std::chrono::seconds(3);
    Duration report_time = kReportTime;
    std::optional<Duration> timeout;
    std::vector<int> hosts = {};  // of each rank; none: all are on host 0
  };
  // Ending: asked to. Killing: the agent kills. Sweeping: the launcher itself kills what is left.
  enum class Phase { Running, Reporting, Ending, Killing, Sweeping, GivenUp };

  Supervisor(const Settings& settings, TimePoint now);

  void on_message(const Message& message, TimePoint now);
  // `cause`: AgentLost, or HostLost where what ended is the connection to the agent's host.
  void on_agent_end(int status, TimePoint now, int host = 0, Cause cause = Cause::AgentLost);
  void on_end_signal(int number, bool from_terminal, TimePoint now);
  void on_output_closed(TimePoint now);
  void on_output_unreadable(int rank, int number, TimePoint now);
  void on_time(TimePoint now);

  std::optional<TimePoint> deadline() const { return deadline_; }
  Phase phase() const { return phase_; }
  // What the agent is to be told, in order; empties the list.
  std::vector<Message> take_orders();
  // Among ranks that failed almost together, the one that most probably caused it: one that reports
  // the loss of another (`is_victim`) is a consequence, and where a signal ended one, the exit
  // codes of others around that time are too. Otherwise the first.
  Outcome outcome(const std::function<bool(int rank)>& is_victim = {}) const;
  // Ranks that were started and have not ended.
  std::vector<int> running() const;

 private:
  struct Rank {
    int pid = 0;
    TimePoint started;
    bool ended = false;
  };

  void on_rank_end(const Message& message, Cause cause, TimePoint now);
  Outcome describe(Cause cause, const Message& message, TimePoint now) const;
  void blame(Cause cause, const Message& message, TimePoint now);
  void end(Duration grace, TimePoint now);
  void kill(TimePoint now);
  bool all_ended_on(int host) const;

  Settings settings_;
  std::vector<Rank> ranks_;
  size_t ended_ = 0;
  Outcome outcome_;
  std::vector<Outcome> failures_;  // of ranks, before any was told to end
  Phase phase_ = Phase::Running;
  std::optional<TimePoint> deadline_;
  std::vector<Message> orders_;
};

}  // namespace farandole::launch

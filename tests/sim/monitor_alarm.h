#pragma once
// I14, the other way round: no false alarm. Nobody is lost, and no group refused, who was silent
// for less than the time-out; and who is named is somebody whom a fault took away, or kept silent.

#include <vector>

#include "tests/sim/monitor.h"

namespace farandole::sim {

class AlarmMonitor final : public Monitor {
 public:
  AlarmMonitor(const Plan& plan, Findings& findings);
  void on_fault(const Fault& fault) override;
  void on_death(int rank, TimePoint now) override;
  void on_overdue(int rank) override;
  void on_accusation(int rank, const PeerFailure& failure) override;
  void on_failure(int rank, const PeerFailure& failure, TimePoint now) override;
  void on_not_formed(int rank, const Status& why) override;

 private:
  void judge(int rank, int culprit, const std::string& cause);
  void mark(int rank) { gone_[static_cast<size_t>(rank)] = true; }

  bool data_first_;              // is given up before heartbeats
  Duration patience_;            // heartbeats
  Duration slack_;               // silence of somebody whom nothing disturbs
  Duration disturbed_{};         // all silence that faults have caused so far, were it one
  std::vector<bool> gone_;       // dead, or a connection with it broke
  std::vector<bool> displaced_;  // another process has taken its place, and its connection
  std::vector<bool> died_;       // an earlier process of it
};

}  // namespace farandole::sim

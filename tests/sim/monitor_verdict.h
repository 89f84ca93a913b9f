#pragma once
// I14: one verdict, with the same culprit everywhere; nobody is accused who did nothing wrong, and
// a process that was stopped accuses nobody when it wakes. Bounds: a verdict comes in time.

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "tests/sim/monitor.h"

namespace farandole::sim {

class VerdictMonitor final : public Monitor {
 public:
  VerdictMonitor(const Plan& plan, Findings& findings);
  void on_failure(int rank, const PeerFailure& failure) override;
  void on_fault(const Fault& fault, TimePoint now) override;

 private:
  struct Touched {
    bool self = false;  // killed, stopped, its clock moved
    bool link = false;  // its way to rank 0
    bool any() const { return self || link; }
  };
  Touched& touched(int rank) { return touched_[static_cast<size_t>(rank)]; }
  // Whether the fault of `culprit` may be held against it by `rank`.
  void judge_cause(int rank, const PeerFailure& failure);
  void judge_unity(int rank, const PeerFailure& failure);

  std::vector<Touched> touched_;
  std::vector<bool> told_;
  std::set<std::pair<int, int>> left_;  // whom, by whom
  std::optional<int> culprit_;          // named by a rank that nothing stood between and rank 0
};

}  // namespace farandole::sim

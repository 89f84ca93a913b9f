#pragma once
// I14: one verdict, with the same culprit everywhere; nobody is accused who did nothing wrong, and
// a process that was stopped accuses nobody when it wakes, but those who gave it up meanwhile and
// whose word of that was lost. Bounds: a verdict comes in time.

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "tests/sim/monitor.h"
#include "tests/sim/touched.h"

namespace farandole::sim {

class VerdictMonitor final : public Monitor {
 public:
  VerdictMonitor(const Plan& plan, Findings& findings);
  void on_start(int rank) override {
    deaths_[static_cast<size_t>(rank)].reset();
    finished_[static_cast<size_t>(rank)] = false;
  }
  void on_finished(int rank) override { finished_[static_cast<size_t>(rank)] = true; }
  void on_formed(
      int rank, uint32_t epoch, const std::vector<Member>& members, TimePoint now) override;
  void on_failure(int rank, const PeerFailure& failure, TimePoint now) override;
  void on_fault(const Fault& fault) override;
  void on_accusation(int rank, const PeerFailure& failure) override;
  void on_death(int rank, TimePoint now) override;
  void on_overdue(int rank) override { touched_.on_overdue(rank); }
  // Who has given up goes, also where the group forms yet.
  void on_start_end(int rank, const StartEnd& end) override {
    if (!end.formed)
      touched_.on_overdue(rank);
  }

 private:
  void judge_cause(int rank, const PeerFailure& failure);
  void judge_unity(int rank, const PeerFailure& failure);
  void judge_time(int rank, const PeerFailure& failure, TimePoint now);

  const bool data_first_;
  // From a death to the last survivor's hearing of it: where kernels tell of it at once, and where
  // only silence does.
  Duration noticed_bound_;
  Duration silent_bound_;
  Duration unwatched_bound_;  // and where only that misses it which waits for its data
  Touched touched_;
  std::vector<bool> noticed_;  // by rank, of its last fault
  std::vector<bool> told_;
  std::vector<bool> finished_;
  std::vector<std::optional<TimePoint>> deaths_;
  TimePoint formed_{};                  // when the last that has heard of it did
  std::set<std::pair<int, int>> left_;  // whom, by whom
  std::set<std::pair<int, int>> lost_;  // whom, for whom
  // Had not begun what another rank has waited for as long as its data time-out. Where silence
  // takes longer to tell who is lost, that is the verdict, as no better evidence comes: it may be
  // late only because it waits for one that is lost, or over slow links, and accuse that one later.
  // Elsewhere silence has told before.
  std::set<int> late_;
  std::optional<int> culprit_;  // named by a rank that nothing stood between and rank 0
};

}  // namespace farandole::sim

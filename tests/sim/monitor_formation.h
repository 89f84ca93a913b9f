#pragma once
// I2, I5, I10 of the forming of a group. Who has joined is told by rank 0 what became of it, at
// once and all the same; who could not join knows it at its own deadline. A group is refused for a
// reason that the plan has: somebody missing, or of another mind.

#include <optional>
#include <string>
#include <vector>

#include "tests/sim/monitor.h"
#include "tests/sim/touched.h"

namespace farandole::sim {

class FormationMonitor final : public Monitor {
 public:
  FormationMonitor(const Plan& plan, Findings& findings);
  void on_fault(const Fault& fault) override;
  void on_not_formed(int rank, const Status& why) override;
  void on_start_end(int rank, const StartEnd& end) override;

 private:
  void judge_reason(const Status& why);
  void judge_time(int rank, const StartEnd& end);
  // Nothing has happened to it, nor to rank 0.
  bool undisturbed(int rank) const { return !touched_.any(0) && !touched_.any(rank); }

  const Plan& plan_;
  Duration bound_;  // for what travels and is handled
  Touched touched_;
  bool any_fault_ = false;         // that could keep a rank away
  std::optional<Status> refusal_;  // as the first heard it
  std::optional<TimePoint> refused_;
};

}  // namespace farandole::sim

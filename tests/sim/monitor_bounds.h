#pragma once
// I12: no table grows beyond its bound.

#include "tests/sim/monitor.h"

namespace farandole::sim {

class BoundsMonitor final : public Monitor {
 public:
  BoundsMonitor(const Plan& plan, Findings& findings) : Monitor(findings), plan_(plan) {}
  void on_tables(int rank, const Tables& tables) override;

 private:
  const Plan& plan_;
};

}  // namespace farandole::sim

#pragma once
// Who is said to have submitted what others wait for has, who is said not to belongs to those who
// may, and everybody speaks for itself.

#include <map>
#include <set>
#include <utility>

#include "tests/sim/monitor.h"

namespace farandole::sim {

class StallMonitor final : public Monitor {
 public:
  StallMonitor(const Plan& plan, Findings& findings) : Monitor(findings), plan_(plan) {}
  void on_submitted(int rank, const control::Key& key, const Signature& signature) override;
  void on_agreement(int rank, const Agreement& agreement) override;
  void on_stalls(const control::StallReport& report) override;

 private:
  using Ranks = std::map<std::pair<uint32_t, std::string>, std::set<int>>;
  void judge(const control::Stall& stall);
  void finish(int rank, uint32_t process_set, const std::string& name);

  const Plan& plan_;
  Ranks submitted_;
  Ranks finished_;  // since the last report: one that is told later may have been made before
};

}  // namespace farandole::sim

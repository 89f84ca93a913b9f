#pragma once
// I14: the same failing operation on all survivors. Whom the coordinator tells of a verdict has
// been told the same rounds before it; and of what was agreed upon, survivors have carried out
// equally much, or one operation more: a collective can be over on one rank and not yet on another
// (docs/reliability.md), but then it has begun on all.

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "tests/sim/monitor.h"
#include "tests/sim/touched.h"

namespace farandole::sim {

class OperationMonitor final : public Monitor {
 public:
  OperationMonitor(const Plan& plan, Findings& findings);
  void on_agreement(int rank, const Agreement& agreement) override;
  void on_executed(int rank, const control::Key& key, uint64_t index) override;
  void on_failure(int rank, const PeerFailure& failure, TimePoint now) override;
  void on_halted(int rank) override;
  void on_fault(const Fault& fault) override { touched_.on_fault(fault); }
  void on_overdue(int rank) override { touched_.on_overdue(rank); }

 private:
  struct Seen {
    uint64_t round = 0;  // the last
    bool alone = false;  // it or rank 0 has left: rounds are its own
    std::map<uint32_t, uint64_t> carried_out;
  };
  struct Range {
    uint64_t least, most;
  };
  void judge_rounds(int rank);

  const Plan& plan_;
  Touched touched_;
  std::vector<Seen> seen_;
  std::optional<uint64_t> last_round_;     // before the coordinator's verdict
  std::map<uint32_t, Range> carried_out_;  // by those whom a verdict halted
};

}  // namespace farandole::sim

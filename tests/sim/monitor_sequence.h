#pragma once
// I1, I2: one epoch, told once, with equal members everywhere. I3: what ranks are told and what
// they execute are prefixes of one sequence.

#include <map>
#include <optional>
#include <set>

#include "tests/sim/monitor.h"

namespace farandole::sim {

class SequenceMonitor final : public Monitor {
 public:
  SequenceMonitor(const Plan& plan, Findings& findings);
  void on_start(int rank) override;
  void on_formed(
      int rank, uint32_t epoch, const std::vector<Member>& members, TimePoint now) override;
  void on_not_formed(int rank, const Status& why) override;
  void on_agreement(int rank, const Agreement& agreement) override;
  void on_failure(int rank, const PeerFailure& failure, TimePoint now) override;
  void on_execution(int rank, const control::Key& key, uint64_t index) override;

 private:
  struct Seen {
    bool formed = false;
    bool refused = false;
    bool alone = false;  // it or rank 0 has left: what is rejected is rejected locally
    uint64_t rounds = 0;
  };
  std::vector<Seen> seen_;
  std::optional<std::pair<uint32_t, std::vector<Member>>> group_;
  std::vector<Agreement> rounds_;
  std::map<std::pair<uint32_t, uint64_t>, std::string> executed_;  // set, index -> name
  bool mixed_ = false;                                             // ranks have different settings
};

}  // namespace farandole::sim

#pragma once
// I5, of waits: with FARANDOLE_STALL_SHUTDOWN_TIME, nobody waits for longer, and what the end
// takes, for what another rank has not submitted; as long as rank 0 and who waits are there and
// nothing has happened to them. And whoever is told to be missing has been asked where it is.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "tests/sim/monitor.h"
#include "tests/sim/touched.h"

namespace farandole::sim {

class WaitMonitor final : public Monitor {
 public:
  WaitMonitor(const Plan& plan, Findings& findings);
  void on_submitted(
      int rank, const control::Key& key, const Signature& signature, TimePoint now) override;
  void on_agreement(int rank, const Agreement& agreement) override;
  void on_failure(int rank, const PeerFailure& failure, TimePoint now) override;
  void on_goodbye(int rank) override { gone_.insert(rank); }
  void on_overdue(int rank) override { touched_.on_overdue(rank); }
  void on_fault(const Fault& fault) override { touched_.on_fault(fault); }
  void on_stalls(const control::StallReport& report) override;
  void on_time(TimePoint now) override;

 private:
  using Name = std::pair<uint32_t, std::string>;
  using Since = std::map<int, TimePoint>;  // by rank, as far as it has heard no answer

  bool counts(int rank) const { return !touched_.any(rank) && !gone_.contains(rank); }
  void finish(int rank, uint32_t process_set, const std::string& name);
  std::optional<int> missing(const Name& name, const Since& since) const;
  void judge(const Name& name, Since& since, TimePoint now);

  const Plan& plan_;
  Duration limit_;  // of a wait; none: nothing ends it
  Touched touched_;
  std::set<int> gone_;  // by its own will, or it has heard that the job has ended
  std::map<Name, Since> waits_;
  std::optional<TimePoint> due_;  // when the next may have lasted for too long
};

}  // namespace farandole::sim

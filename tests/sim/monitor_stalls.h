#pragma once
// Who is said to have submitted what others wait for has, who is said not to belongs to those who
// may, and everybody speaks for itself. And where a wait ends the job
// (FARANDOLE_STALL_SHUTDOWN_TIME) it was one: as long as that says, of ranks that had submitted for
// one that had not, which is blamed where it is the only one; all hear that in the same words.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/sim/monitor.h"

namespace farandole::sim {

// Whether the job ends because an operation has waited for too long.
bool ends_a_wait(const PeerFailure& failure);
// What is said and its answer take at most, and the end of a wait besides, where nothing disturbs.
Duration on_its_way(const Plan& plan);

class StallMonitor final : public Monitor {
 public:
  StallMonitor(const Plan& plan, Findings& findings);
  void on_submitted(
      int rank, const control::Key& key, const Signature& signature, TimePoint now) override;
  void on_agreement(int rank, const Agreement& agreement) override;
  void on_stalls(const control::StallReport& report) override;
  void on_failure(int rank, const PeerFailure& failure, TimePoint now) override;
  void on_fault(const Fault& fault) override;
  void on_overdue(int) override { disturbed_ = true; }

 private:
  using Name = std::pair<uint32_t, std::string>;
  // What the words of an end tell.
  struct Told {
    uint32_t process_set = 0;
    std::string what;
    std::vector<int> submitted, joined, missing;
    bool shortened = false;  // not all ranks are told
  };
  static std::optional<Told> read(std::string_view cause);
  void judge(const control::Stall& stall);
  // What is wrong with an end that `rank` hears now, were it about the operation of this name.
  std::string wrong(int rank, const Told& told, const Name& name, TimePoint now) const;
  bool waits(int rank, const Name& name) const;
  void finish(int rank, uint32_t process_set, const std::string& name);

  const Plan& plan_;
  Duration on_its_way_;
  std::map<Name, std::map<int, TimePoint>>
      submitted_;                           // and not answered, as far as each has heard
  std::map<Name, std::set<int>> finished_;  // since the last report: it may have been made before
  std::optional<std::string> end_;          // the words of the first that heard it
  bool disturbed_ = false;
  bool jumped_ = false;  // somebody's clock
};

}  // namespace farandole::sim

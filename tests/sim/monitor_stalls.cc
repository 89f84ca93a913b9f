#include "tests/sim/monitor_stalls.h"

#include <algorithm>

#include "core/base/format.h"

namespace farandole::sim {

void StallMonitor::on_submitted(int rank, const control::Key& key, const Signature&) {
  submitted_[{key.process_set, key.name}].insert(rank);
}

void StallMonitor::judge(const control::Stall& stall) {
  const std::set<int>& known = submitted_[{stall.process_set, stall.name}];
  for (const int rank : stall.submitted)
    if (!known.contains(rank))
      violated(fmt::format("rank {} is said to wait, and has not submitted it", rank));
  if (stall.submitted.empty() || stall.missing.empty())
    violated("an operation is said to wait that has nobody to wait for");
  if (stall.age < plan_.stall_report)
    violated("a wait is told of before it has lasted");
  std::set<int> named(stall.submitted.begin(), stall.submitted.end());
  named.insert(stall.joined.begin(), stall.joined.end());
  named.insert(stall.missing.begin(), stall.missing.end());
  if (named.size() != stall.submitted.size() + stall.joined.size() + stall.missing.size())
    violated("a rank is said to wait and to be waited for");
}

void StallMonitor::on_stalls(const control::StallReport& report) {
  for (const control::Stall& stall : report.stalls) judge(stall);
  for (const control::Testimony& told : report.testimonies)
    if (told.text.starts_with("rank ") && told.text != fmt::format("rank {} is here", told.rank))
      violated(fmt::format("rank {} is said to have said: {}", told.rank, told.text));
}

}  // namespace farandole::sim

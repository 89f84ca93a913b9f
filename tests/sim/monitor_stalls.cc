#include "tests/sim/monitor_stalls.h"

#include <algorithm>

#include "core/base/format.h"

namespace farandole::sim {

void StallMonitor::on_submitted(int rank, const control::Key& key, const Signature&) {
  submitted_[{key.process_set, key.name}].insert(rank);
}

void StallMonitor::finish(int rank, uint32_t process_set, const std::string& name) {
  const auto known = submitted_.find({process_set, name});
  if (known == submitted_.end() || known->second.erase(rank) == 0)
    return;
  finished_[known->first].insert(rank);
  if (known->second.empty())
    submitted_.erase(known);
}

void StallMonitor::on_agreement(int rank, const Agreement& agreement) {
  for (const ReadyOp& op : agreement.ready) finish(rank, op.process_set, op.name);
  for (const Rejection& item : agreement.rejected) finish(rank, item.process_set, item.name);
}

void StallMonitor::judge(const control::Stall& stall) {
  const auto knows = [&](const Ranks& ranks, int rank) {
    const auto known = ranks.find({stall.process_set, stall.name});
    return known != ranks.end() && known->second.contains(rank);
  };
  for (const int rank : stall.submitted)
    if (!knows(submitted_, rank) && !knows(finished_, rank))
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
  finished_.clear();
  for (const control::Testimony& told : report.testimonies)
    if (told.text.starts_with("rank ") && told.text != fmt::format("rank {} is here", told.rank))
      violated(fmt::format("rank {} is said to have said: {}", told.rank, told.text));
}

}  // namespace farandole::sim

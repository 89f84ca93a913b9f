#include "tests/sim/monitor_waits.h"

#include <algorithm>

#include "core/base/format.h"
#include "tests/sim/monitor_stalls.h"

namespace farandole::sim {

using std::chrono_literals::operator""ms;

WaitMonitor::WaitMonitor(const Plan& plan, Findings& findings)
    : Monitor(findings),
      plan_(plan),
      limit_(plan.stall_abort > Duration(0) ? plan.stall_abort + on_its_way(plan) : Duration(0)),
      touched_(plan) {}

void WaitMonitor::on_submitted(int rank, const control::Key& key, const Signature&, TimePoint now) {
  waits_[{key.process_set, key.name}][rank] = now;
  if (limit_ > Duration(0))
    due_ = std::min(due_.value_or(now + limit_), now + limit_);
}

void WaitMonitor::finish(int rank, uint32_t process_set, const std::string& name) {
  const auto known = waits_.find({process_set, name});
  if (known != waits_.end() && known->second.erase(rank) > 0 && known->second.empty())
    waits_.erase(known);
}

void WaitMonitor::on_agreement(int rank, const Agreement& agreement) {
  for (const ReadyOp& op : agreement.ready) finish(rank, op.process_set, op.name);
  for (const Rejection& item : agreement.rejected) finish(rank, item.process_set, item.name);
}

// A program that ends as soon as one rank has left waits for nothing more.
void WaitMonitor::on_failure(int rank, const PeerFailure& failure, TimePoint) {
  if (!failure.left || plan_.fails_on_leave)
    gone_.insert(rank);
}

// A member that has neither submitted it nor joined. Of sets that are added on the way the plan
// does not know the members.
std::optional<int> WaitMonitor::missing(const Name& name, const Since& since) const {
  const auto joined = waits_.find({name.first, {}});
  for (const int member : plan_.members(name.first, name.second))
    if (!since.contains(member) && (joined == waits_.end() || !joined->second.contains(member)))
      return member;
  return std::nullopt;
}

void WaitMonitor::judge(const Name& name, Since& since, TimePoint now) {
  for (auto& [rank, begun] : since) {
    if (now - begun <= limit_)
      continue;
    if (const std::optional<int> late = missing(name, since); late && counts(rank))
      violated(fmt::format(
          "I5: rank {} has waited for {} ms for \"{}\", which rank {} has not submitted, and the "
          "job goes on; FARANDOLE_STALL_SHUTDOWN_TIME is {} ms",
          rank,
          (now - begun) / 1ms,
          name.second,
          *late,
          plan_.stall_abort / 1ms));
    begun = now;
  }
}

// Who has joined waits for as long as others do anything.
void WaitMonitor::on_time(TimePoint now) {
  if (!due_ || now <= *due_)
    return;
  due_.reset();
  if (!counts(0))
    return;
  for (auto& [name, since] : waits_) {
    if (name.second.empty())
      continue;
    judge(name, since, now);
    for (const auto& [rank, begun] : since)
      due_ = std::min(due_.value_or(begun + limit_), begun + limit_);
  }
}

// But for so many that a log would not show what they say.
void WaitMonitor::on_stalls(const control::StallReport& report) {
  std::set<int> asked;
  for (const control::Testimony& told : report.testimonies) asked.insert(told.rank);
  if (asked.size() >= control::Inquiries::kMostAsked)
    return;
  for (const control::Stall& stall : report.stalls)
    for (const int rank : stall.missing)
      if (!asked.contains(rank))
        violated(fmt::format("\"{}\" waits for rank {}, which is not asked", stall.name, rank));
}

}  // namespace farandole::sim

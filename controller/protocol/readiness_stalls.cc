// Readiness: what waits, for how long and for whom.

#include <algorithm>
#include <tuple>
#include <utility>

#include "controller/protocol/mutation.h"
#include "controller/protocol/readiness.h"

namespace farandole::control {

Stall Readiness::stall_of(const Slot& slot) const {
  const Signature& known = slot.full.empty() ? slot.agreed : slot.full.begin()->second;
  Stall stall{
      .name = slot.key->name,
      .process_set = slot.key->process_set,
      .kind = known.kind,
      .age = now_ - slot.since};
  const std::vector<int>& members = members_of(slot);
  for (size_t place = 0; place < members.size(); ++place) {
    if (slot.announced[place])
      stall.submitted.push_back(members[place]);
    else
      (has_joined(slot.key->process_set, members[place]) ? stall.joined : stall.missing)
          .push_back(members[place]);
  }
  if (FARANDOLE_MUTATE(NameWhoSubmitted))
    std::swap(stall.submitted, stall.missing);
  return stall;
}

// Who has joined waits for what the others still do. As long as each of them does something, in
// whatever set, it does not wait too long.
void Readiness::look_at(TimePoint now) {
  at(now);
  for (const auto& [process_set, join] : joins_) {
    const std::vector<int>& members = sets_.at(process_set);
    TimePoint idle = TimePoint::max();  // when the missing rank that is idle longest went idle
    for (size_t place = 0; place < members.size(); ++place)
      if (!join->announced[place])
        idle = std::min(idle, active_[static_cast<size_t>(members[place])]);
    if (idle == TimePoint::max() || idle <= join->since)
      continue;
    join->since = idle;
    join->told = {};
  }
}

Stalls Readiness::stalled(Duration least) {
  std::vector<Slot*> due;
  for (auto& [key, slot] : slots_)
    if (slot.count > 0 && now_ - slot.since >= told_after(slot, least)) {
      slot.told = now_ - slot.since;
      due.push_back(&slot);
    }
  const size_t described = std::min(due.size(), StallReport::kMost);
  const auto last = due.begin() + static_cast<ptrdiff_t>(described);
  std::partial_sort(due.begin(), last, due.end(), [](const Slot* a, const Slot* b) {
    return std::tie(a->since, *a->key) < std::tie(b->since, *b->key);
  });
  Stalls stalls;
  stalls.more = due.size() - described;
  for (size_t i = 0; i < described; ++i) stalls.oldest.push_back(stall_of(*due[i]));
  return stalls;
}

const Readiness::Slot* Readiness::oldest_slot() const {
  const Slot* found = nullptr;
  for (const auto& [key, slot] : slots_)
    if ((slot.count > 0 || FARANDOLE_MUTATE(EndWhatIsAnswered)) &&
        (found == nullptr || slot.since < found->since))
      found = &slot;
  return found;
}

std::optional<Duration> Readiness::oldest_age() const {
  const Slot* found = oldest_slot();
  return found == nullptr ? std::nullopt : std::optional(now_ - found->since);
}

Stall Readiness::oldest() const {
  return stall_of(*oldest_slot());
}

std::optional<TimePoint> Readiness::next_stall(const StallPolicy& policy) const {
  std::optional<TimePoint> next;
  const auto consider = [&next](TimePoint when) { next = std::min(next.value_or(when), when); };
  for (const auto& [key, slot] : slots_) {
    if (slot.count == 0)
      continue;
    if (policy.report > Duration(0))
      consider(slot.since + told_after(slot, policy.report));
    if (policy.abort > Duration(0))
      consider(slot.since + policy.abort);
  }
  return next;
}

}  // namespace farandole::control

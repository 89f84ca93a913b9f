// Readiness: what waits, for how long and for whom.

#include <algorithm>
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
  const std::vector<int>& members = sets_.at(slot.key->process_set);
  for (size_t place = 0; place < members.size(); ++place) {
    if (slot.announced[place])
      stall.submitted.push_back(members[place]);
    else
      (has_joined(slot.key->process_set, place) ? stall.joined : stall.missing)
          .push_back(members[place]);
  }
  if (FARANDOLE_MUTATE(NameWhoSubmitted))
    std::swap(stall.submitted, stall.missing);
  return stall;
}

std::vector<Stall> Readiness::stalled(Duration least) {
  std::vector<Slot*> due;
  for (auto& [key, slot] : slots_)
    if (slot.count > 0 && now_ - slot.since >= told_after(slot, least))
      due.push_back(&slot);
  std::ranges::stable_sort(due, {}, [](const Slot* slot) { return slot->since; });
  std::vector<Stall> stalls;
  for (Slot* slot : due) {
    slot->told = now_ - slot->since;
    stalls.push_back(stall_of(*slot));
  }
  return stalls;
}

std::optional<Stall> Readiness::oldest() const {
  const Slot* found = nullptr;
  for (const auto& [key, slot] : slots_)
    if (slot.count > 0 && (found == nullptr || slot.since < found->since))
      found = &slot;
  return found == nullptr ? std::nullopt : std::optional(stall_of(*found));
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

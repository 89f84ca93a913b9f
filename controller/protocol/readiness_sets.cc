// Readiness: joins, process sets that come and go, and ranks that leave.

#include <algorithm>
#include <utility>

#include "controller/protocol/mutation.h"
#include "controller/protocol/readiness.h"
#include "controller/protocol/validation.h"
#include "core/base/format.h"
#include "core/request_check.h"

namespace farandole::control {

Status Readiness::about(CollectiveKind kind, const Key& key, const Status& why) {
  return error(why.code(), "{}: {}", describe(kind, key.name), why.message()).blame(why.culprit());
}

bool Readiness::has_joined(uint32_t process_set, int rank) const {
  if (joins_.empty() || FARANDOLE_MUTATE(WaitForTheJoined))
    return false;
  const auto join = joins_.find(process_set);
  if (join == joins_.end())
    return false;
  const std::vector<int>& members = members_of(*join->second);
  const auto place = std::ranges::lower_bound(members, rank);
  return place != members.end() && *place == rank &&
         join->second->announced[static_cast<size_t>(place - members.begin())];
}

bool Readiness::covered(const Slot& slot) const {
  const std::vector<int>& members = members_of(slot);
  if (slot.count >= members.size() || joins_.empty())
    return slot.count >= members.size();
  if (FARANDOLE_MUTATE(CountJoinedTwice) && joins_.contains(slot.key->process_set))
    return slot.count + joins_.at(slot.key->process_set)->count >= members.size();
  for (size_t place = 0; place < members.size(); ++place)
    if (!slot.announced[place] && !has_joined(slot.key->process_set, members[place]))
      return false;
  return true;
}

std::vector<Readiness::Slot*> Readiness::pending_of(uint32_t process_set) {
  std::vector<Slot*> slots;
  for (auto it = slots_.upper_bound({process_set, {}});
       it != slots_.end() && it->first.process_set == process_set;
       ++it)
    if (it->second.count > 0)
      slots.push_back(&it->second);
  if (const auto join = joins_.find(process_set); join != joins_.end())
    slots.push_back(join->second);
  return slots;
}

// What waited for this rank alone is ready now; once all have joined, so is everything, and then
// the join itself.
void Readiness::announce_join(Slot& join) {
  joins_[join.key->process_set] = &join;
  for (Slot* slot : pending_of(join.key->process_set))
    if (slot != &join && covered(*slot))
      complete(*slot);
  const std::vector<int>& members = members_of(join);
  if (join.count < members.size())
    return;
  const int last = FARANDOLE_MUTATE(NameTheFirstJoined) ? members.front() : join.last;
  agree_once(join, {last}, std::nullopt);
}

void Readiness::agree_once(
    Slot& slot, std::vector<int64_t> extents, std::optional<StandIn> stand_in) {
  forget_id(slot);
  const Signature& first =
      slot.full.empty() ? slot.agreed : slot.full.begin()->second;  // all agree on what counts here
  const uint64_t bytes = input_bytes(first);
  Detail detail{
      .id = 0,
      .named = true,
      .process_set = slot.key->process_set,
      .name = slot.key->name,
      .extents = std::move(extents),
      .stand_in = FARANDOLE_MUTATE(TellNoStandIn) ? std::nullopt : std::move(stand_in)};
  size_t size = kItemBytes + detail.name.size() + detail.extents.size() * sizeof(int64_t);
  if (detail.stand_in)
    size += kStandInBytes +
            (detail.stand_in->signature.shape.size() + detail.stand_in->signature.splits.size()) *
                sizeof(int64_t);
  urgent_ = urgent_ || !is_carried(first.kind);
  room_for(size).details.push_back(std::move(detail));
  tell_ready(slot, bytes);
}

Result<std::vector<int64_t>> Readiness::change_sets(const Key& key, const Signature& wanted) {
  if (wanted.kind == CollectiveKind::AddProcessSet) {
    const Result<uint32_t> id = sets_.add(wanted.operand);
    if (!id)
      return about(wanted.kind, key, id.status());
    return std::vector<int64_t>{id.value()};
  }
  if (const Status status = sets_.removable(wanted.operand); !status)
    return about(wanted.kind, key, status);
  remove_set(static_cast<uint32_t>(wanted.operand[0]));
  return std::vector<int64_t>{};
}

// What is ready is carried out; what is pending is rejected, and what is cached forgotten.
void Readiness::remove_set(uint32_t id) {
  const Status why = error(Code::InvalidArgument, "process set {} was removed", id);
  for (Slot* slot : pending_of(id)) {
    const Signature& known = slot->full.empty() ? slot->agreed : slot->full.begin()->second;
    if (!FARANDOLE_MUTATE(KeepPendingOfRemoved))
      reject_pending(*slot, about(known.kind, *slot->key, why));
  }
  for (auto it = slots_.lower_bound({id, {}}); it != slots_.end() && it->first.process_set == id;) {
    Slot& slot = (it++)->second;
    if (slot.count > 0)
      continue;
    idle_.erase(slot.idle);
    room_for(sizeof(slot.id)).evicted.push_back(slot.id);
    forget_id(slot);
    erase(slot);
  }
  if (!FARANDOLE_MUTATE(KeepRemovedSet))
    sets_.remove(id);
}

void Readiness::leave(int rank, const Status& why) {
  sets_.leave(rank, why);
  std::vector<Slot*> needing;
  for (auto& [key, slot] : slots_)
    if (slot.count > 0 && sets_.broken(key.process_set) != nullptr &&
        !FARANDOLE_MUTATE(KeepPending))
      needing.push_back(&slot);
  for (Slot* slot : needing) {
    const Signature& known = slot->full.empty() ? slot->agreed : slot->full.begin()->second;
    reject_pending(*slot, about(known.kind, *slot->key, *sets_.broken(slot->key->process_set)));
  }
}

}  // namespace farandole::control

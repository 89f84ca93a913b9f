#include "controller/protocol/readiness.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "controller/protocol/mutation.h"
#include "controller/protocol/ranks.h"
#include "controller/protocol/validation.h"
#include "core/base/format.h"
#include "core/member_name.h"
#include "core/request_check.h"

namespace farandole::control {
namespace {

constexpr uint32_t kLastId = std::numeric_limits<uint32_t>::max();
constexpr size_t kIdBytes = sizeof(uint32_t);
// What one tensor counts at most, so that the sum of all cannot overflow.
constexpr uint64_t kMostBytes = uint64_t{1} << 40;

bool varies_rows(CollectiveKind kind) {
  return gathers(kind) || kind == CollectiveKind::Alltoall;
}

// Whether the two differ in nothing but rows.
bool same_but_rows(Signature a, Signature b) {
  for (Signature* s : {&a, &b}) {
    s->device.index = 0;
    s->splits.clear();
    if (varies_rows(s->kind) && !s->shape.empty())
      s->shape[0] = 0;
  }
  return a == b;
}

// What the member at `place` announced when `extents` were agreed upon, where all tell.
Signature recall_row(const Signature& agreed, std::span<const int64_t> extents, size_t place) {
  Signature s = agreed;
  if (gathers(s.kind))
    s.shape[0] = extents[place];
  if (s.kind != CollectiveKind::Alltoall)
    return s;
  size_t n = 1;
  while (n * n < extents.size()) ++n;
  const auto row = extents.subspan(place * n, n);
  s.splits.assign(row.begin(), row.end());
  s.shape[0] = std::accumulate(row.begin(), row.end(), int64_t{0});
  return s;
}

size_t place_of(const std::vector<int>& members, int rank) {
  return static_cast<size_t>(std::ranges::lower_bound(members, rank) - members.begin());
}

// That from which the others can be recalled. Requires: they fit together.
Signature& telling(std::span<const int> ranks, std::vector<Signature>& signatures) {
  if (!one_tells(signatures.front().kind) || FARANDOLE_MUTATE(TakeAnyForTheRoot))
    return signatures.front();
  const auto root = std::find(ranks.begin(), ranks.end(), signatures.front().root);
  return signatures.at(static_cast<size_t>(root - ranks.begin()));
}

}  // namespace

Signature Readiness::recall(const Slot& slot, size_t place, int rank) {
  const bool has_memory = slot.has_memory && !FARANDOLE_MUTATE(ForgetTheMemory);
  if (one_tells(slot.agreed.kind))
    return rank == slot.agreed.root ? slot.agreed : of_receiver(slot.agreed, has_memory);
  return recall_row(slot.agreed, slot.extents, place);
}

Readiness::Readiness(const Limits& limits, ProcessSets::Map process_sets, Hear hear)
    : limits_(limits),
      hear_(std::move(hear)),
      sets_(limits.size, std::move(process_sets)),
      active_(limits.size),
      in_flight_(limits.size),
      answered_(limits.size) {}

Status Readiness::announce(int rank, Announcement announcement) {
  Signature& signature = announcement.signature;
  Key key{signature.process_set, std::move(announcement.name)};
  const std::vector<int>* const set = sets_.find(key.process_set);
  if (set == nullptr) {
    refuse(key, about(signature.kind, key, sets_.missing(key.process_set)));
    return Status::ok();
  }
  const std::vector<int>& members = FARANDOLE_MUTATE(IgnoreProcessSets) ? sets_.at(0) : *set;
  const auto place = std::lower_bound(members.begin(), members.end(), rank);
  if (place == members.end() || *place != rank)
    return error(
        Code::PeerLost,
        "announced \"{}\" in process set {}, of which it is no member",
        printable(key.name),
        key.process_set);
  if (const Status* broken = sets_.broken(key.process_set)) {
    refuse(key, about(signature.kind, key, *broken));
    return Status::ok();
  }
  if (has_joined(key.process_set, rank))
    return error(
        Code::PeerLost,
        "announced {} in process set {}, where it waits for its join",
        describe(signature.kind, key.name),
        key.process_set);
  Result<std::vector<int>> ends = ends_of(rank, signature);
  FARANDOLE_RETURN_IF_ERROR(ends.status());
  if (FARANDOLE_MUTATE(ForgetTheWay) && !ends.value().empty())
    key.name.resize(key.name.rfind(' '));
  const auto [it, fresh] = slots_.try_emplace(std::move(key));
  Slot& slot = it->second;
  if (fresh) {
    slot.key = &it->first;
    slot.ends = std::move(ends).value();
    slot.announced.resize(members_of(slot).size());
    const std::optional<MemberName> member = member_name(slot.key->name);
    slot.first_of_group = member && member->place == 1;
  }
  FARANDOLE_RETURN_IF_ERROR(count(rank, slot));
  const bool joins = signature.kind == CollectiveKind::Join;
  slot.full.emplace(place_of(members_of(slot), rank), std::move(signature));
  if (joins)
    announce_join(slot);
  else if (covered(slot))
    complete(slot);
  if (!torn_.empty())
    reject_torn();
  return Status::ok();
}

Result<Readiness::Known> Readiness::announce_cached(int rank, uint32_t id) {
  if (id == 0 || id > last_id_)
    return error(Code::PeerLost, "announced id {}, which nothing ever had", id);
  const auto it = by_id_.find(id);
  if (it == by_id_.end())
    return Known::Forgotten;
  Slot& slot = *it->second;
  if (!std::ranges::binary_search(members_of(slot), rank))
    return error(Code::PeerLost, "announced id {}, in which it has no part", id);
  if (const Status* broken = sets_.broken(slot.key->process_set)) {
    refuse(*slot.key, about(slot.agreed.kind, *slot.key, *broken));
    return Known::Yes;
  }
  if (has_joined(slot.key->process_set, rank))
    return error(Code::PeerLost, "announced id {} of a process set that it has joined", id);
  FARANDOLE_RETURN_IF_ERROR(count(rank, slot));
  if (covered(slot))
    complete(slot);
  if (!torn_.empty())
    reject_torn();
  return Known::Yes;
}

// What a rank announces takes one of its places until its answer is on its way: so the answers that
// wait are bounded, too. Only what is refused takes none: a refusal that another rank was given
// settles a tensor of that name here before its announcement has come, and the next may follow it.
Status Readiness::take_place(int rank) {
  size_t& in_flight = in_flight_.at(static_cast<size_t>(rank));
  if (in_flight == limits_.max_pending && !FARANDOLE_MUTATE(NoQuotaOfTensors))
    return error(
        Code::PeerLost,
        "announced more than {} tensors at once (FARANDOLE_MAX_PENDING)",
        limits_.max_pending);
  ++in_flight;
  active_[static_cast<size_t>(rank)] = now_;
  return Status::ok();
}

// Answers at once, to all, what cannot be.
void Readiness::refuse(const Key& key, Status why) {
  ++refused_;
  reject(key, std::move(why));
}

Status Readiness::count(int rank, Slot& slot) {
  const size_t place = place_of(members_of(slot), rank);
  if (slot.announced[place])
    return error(
        Code::PeerLost, "announced \"{}\" twice while in flight", printable(slot.key->name));
  FARANDOLE_RETURN_IF_ERROR(take_place(rank));
  slot.announced[place] = true;
  slot.last = rank;
  if (hear_)
    hear_({rank, slot.key->process_set, slot.key->name, now_}, slot.mark);
  if (slot.count++ == 0) {
    slot.since = now_;
    ++pending_;
    begin_use(slot);
    if (slot.id != 0)
      idle_.erase(slot.idle);
  }
  if (FARANDOLE_MUTATE(CountRankTwice) && rank == 1)
    ++slot.count;
  return Status::ok();
}

void Readiness::complete(Slot& slot) {
  const std::vector<int>& members = members_of(slot);
  if (slot.full.empty() && slot.count == members.size()) {
    ready_again(slot);
    return;
  }
  std::vector<int> ranks;
  std::vector<int> joined;
  std::vector<Signature> signatures;
  signatures.reserve(members.size());
  for (size_t place = 0; place < members.size(); ++place) {
    if (!slot.announced[place]) {
      joined.push_back(members[place]);
      continue;
    }
    ranks.push_back(members[place]);
    const auto full = slot.full.find(place);
    signatures.push_back(
        full != slot.full.end() ? full->second : recall(slot, place, members[place]));
  }
  Result<std::vector<int64_t>> extents = validate(slot.key->name, ranks, signatures, joined);
  if (extents && !is_carried(signatures.front().kind))
    extents = change_sets(*slot.key, signatures.front());
  const size_t bytes =
      extents ? slot.key->name.size() + extents.value().size() * sizeof(int64_t) : 0;
  if (!extents || bytes > limits_.max_frame_bytes - kMessageBytes - kItemBytes) {
    Status why = extents ? error(
                               Code::InvalidArgument,
                               "{}: its {} splits do not fit one control message "
                               "(FARANDOLE_MAX_FRAME_BYTES)",
                               describe(signatures.front().kind, slot.key->name),
                               extents.value().size())
                         : extents.status();
    reject_pending(slot, std::move(why));
    return;
  }
  std::optional<StandIn> stand_in;
  if (!joined.empty() && slot.ends.empty())  // nobody stands in for the end of a message
    stand_in = {signatures.front(), static_cast<uint32_t>(ranks.size())};
  const bool cached =
      is_carried(signatures.front().kind) && (joined.empty() || FARANDOLE_MUTATE(CacheUnderJoin));
  slot.has_memory = has_memory(ranks, signatures);
  if (cached)
    agree(slot, std::move(extents).value(), std::move(telling(ranks, signatures)));
  else
    agree_once(slot, std::move(extents).value(), std::move(stand_in));
}

void Readiness::ready_again(Slot& slot) {
  room_for(kIdBytes);
  tell_ready(slot, input_bytes(slot.agreed));
}

// What is ready in another set than 0, or between two ranks, is not held back for what rank 0 still
// has to do in that one.
void Readiness::tell_ready(Slot& slot, uint64_t bytes) {
  rounds_.back().ready.push_back(slot.id);
  ready_bytes_ += std::min(bytes, kMostBytes);
  urgent_ = urgent_ || slot.key->process_set != 0 || !slot.ends.empty();
  settle(slot);
}

void Readiness::agree(Slot& slot, std::vector<int64_t> extents, Signature first) {
  Detail detail{.id = slot.id, .process_set = slot.key->process_set, .extents = extents};
  const bool keeps_id = slot.id != 0 && same_but_rows(slot.agreed, first);
  const bool unchanged = keeps_id && (extents == slot.extents || FARANDOLE_MUTATE(KeepOldExtents));
  slot.agreed = std::move(first);
  slot.extents = std::move(extents);
  if (unchanged) {
    ready_again(slot);
    return;
  }
  if (!keeps_id) {
    forget_id(slot);
    slot.id = give_id();
    if (slot.id != 0)
      by_id_[slot.id] = &slot;
    detail.id = slot.id;
    detail.named = true;
    detail.name = slot.key->name;
  }
  const size_t bytes = kItemBytes + detail.name.size() + detail.extents.size() * sizeof(int64_t);
  room_for(bytes).details.push_back(std::move(detail));
  tell_ready(slot, input_bytes(slot.agreed));
}

uint32_t Readiness::give_id() {
  if (limits_.cache_capacity == 0 || last_id_ == kLastId)
    return 0;
  if (by_id_.size() >= limits_.cache_capacity) {
    if (idle_.empty())
      return 0;
    const uint32_t freed = idle_.front()->id;
    evict_oldest();
    if (FARANDOLE_MUTATE(ReuseEvictedId))
      return freed;
  }
  return ++last_id_;
}

void Readiness::evict_oldest() {
  Slot& slot = *idle_.front();
  idle_.pop_front();
  if (!FARANDOLE_MUTATE(EvictUntold))
    room_for(kIdBytes).evicted.push_back(slot.id);
  forget_id(slot);
  erase(slot);
}

void Readiness::forget_id(Slot& slot) {
  by_id_.erase(slot.id);
  slot.id = 0;
}

void Readiness::erase(Slot& slot) {
  const Key key = *slot.key;
  slots_.erase(key);
}

void Readiness::unannounce(Slot& slot) {
  const std::vector<int>& members = members_of(slot);
  for (size_t place = 0; place < members.size(); ++place)
    if (slot.announced[place])
      ++answered_[static_cast<size_t>(members[place])];
  end_use(slot);
  slot.announced.assign(members.size(), false);
  slot.full.clear();
  slot.count = 0;
  slot.since = {};
  slot.told = {};
  if (slot.key->name.empty())
    joins_.erase(slot.key->process_set);
  --pending_;
}

void Readiness::settle(Slot& slot) {
  unannounce(slot);
  if (slot.id == 0)
    erase(slot);
  else
    slot.idle = idle_.insert(idle_.end(), &slot);
}

void Readiness::reject_pending(Slot& slot, Status why) {
  const Key key = *slot.key;
  unannounce(slot);
  forget_id(slot);
  erase(slot);
  reject(key, std::move(why));
}

void Readiness::reject(const Key& key, Status why) {
  const size_t bytes = kItemBytes + key.name.size() + why.message().size();
  room_for(bytes).rejected.push_back({key.name, key.process_set, std::move(why)});
  urgent_ = true;
}

Round& Readiness::room_for(size_t bytes, size_t items) {
  const auto full = [&](const Round& round) {
    return used_ + bytes > limits_.max_frame_bytes - kMessageBytes ||
           std::max({round.ready.size(), round.rejected.size(), round.evicted.size()}) + items >
               kMaxEntries;
  };
  if (rounds_.empty() || full(rounds_.back())) {
    rounds_.emplace_back();
    used_ = 0;
  }
  used_ += bytes;
  return rounds_.back();
}

std::vector<Round> Readiness::take() {
  urgent_ = false;
  ready_bytes_ = 0;
  used_ = 0;
  refused_ = 0;
  for (size_t rank = 0; rank < in_flight_.size(); ++rank)
    in_flight_[rank] -= std::exchange(answered_[rank], 0);
  return std::exchange(rounds_, {});
}

}  // namespace farandole::control

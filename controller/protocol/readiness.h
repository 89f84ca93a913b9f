#pragma once
// Readiness: which members of which process set have announced which tensor; and the signature
// cache, which lets a repeated tensor be announced and agreed upon by a number.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "controller/protocol/key.h"
#include "controller/protocol/limits.h"
#include "controller/protocol/messages.h"
#include "controller/protocol/process_sets.h"
#include "controller/protocol/stalls.h"
#include "core/control_plane.h"
#include "core/request.h"

namespace farandole::control {

// A join is a tensor without a name: who has announced it counts as having announced whatever the
// set agrees upon until all have. Adding and removing sets are tensors of set 0. A message is ready
// as soon as both its ends have announced it.
//
// Rules of the cache: an id is given when a tensor is agreed upon and there is room, and never
// again to another in this epoch. It stands for (process set, name) and for the signature that each
// rank announced last. A tensor agreed upon with another signature gets another id, and the old
// one is forgotten everywhere; rows of an allgather or alltoall may change under one id. The least
// recently agreed tensor that nobody has announced makes room. What is agreed upon while a member
// has joined, and has not announced it, is not cached and loses its id.
//
// Groups: a rank has one thing in flight under a name, be it a tensor or a group (member_name.h) of
// one size. Where those of all members are there and ranks mean unlike ones by one name, nothing of
// them could ever become ready: all of it is rejected, once every rank's part has come whole, so
// that nothing comes after its answer.
class Readiness {
 public:
  static constexpr size_t kMostRefusals = 1024;
  // Of each announcement that counts. The mark stays with the tensor; nothing here looks at it.
  using Hear = std::function<void(const Announced& announced, uint64_t& mark)>;
  Readiness(const Limits& limits, ProcessSets::Map process_sets, Hear hear = {});
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;

  // The time, for what is announced from now on; where nobody asks for stalls it is not needed.
  void at(TimePoint now) noexcept { now_ = now; }
  // As at(): somebody looks at what waits, by what is below.
  void look_at(TimePoint now);
  // What has waited for at least `least`, and was not told yet or has waited twice as long since.
  // Counts as told, all of it. What is not described costs a comparison.
  Stalls stalled(Duration least);
  // For how long the oldest has waited, told or not told; nothing where nothing waits.
  std::optional<Duration> oldest_age() const;
  // Requires: something waits.
  Stall oldest() const;
  // When the next wait will have lasted for what it is to be told, or to end the job, after.
  std::optional<TimePoint> next_stall(const StallPolicy& policy) const;

  // One announcement. Fails: an honest rank would not have made it (announced twice or after its
  // join, not a member, over its quota, an id never given).
  Status announce(int rank, Announcement announcement);
  enum class Known : uint8_t { Yes, Forgotten };
  Result<Known> announce_cached(int rank, uint32_t id);

  // Everything that needs `rank` is rejected from now on, and what is pending at once.
  void leave(int rank, const Status& why);

  bool anything() const noexcept { return !rounds_.empty(); }
  // There are rejections, or operations that tensors of set 0 shall not hold up.
  bool urgent() const noexcept { return urgent_; }
  // So many refusals wait that they are to be told at once: no quota bounds them.
  bool crowded() const noexcept { return refused_ >= kMostRefusals; }
  uint64_t ready_bytes() const noexcept { return ready_bytes_; }
  // What has become ready, split into messages that fit a frame; numbers are left to the caller.
  std::vector<Round> take();

  size_t cached() const noexcept { return by_id_.size(); }
  size_t pending() const noexcept { return pending_; }

 private:
  friend struct StateAccess;  // of tests: copies and compares states
  struct Slot;
  // Bytes that an item takes in a message besides its text and extents, rounded up.
  static constexpr size_t kItemBytes = 96;
  static constexpr size_t kStandInBytes = 160;
  // `why`, as an error about the tensor.
  static Status about(CollectiveKind kind, const Key& key, const Status& why);
  using Idle = std::list<Slot*>;
  // A tensor that is pending, cached, or both.
  struct Slot {
    const Key* key = nullptr;
    uint32_t id = 0;               // 0: not cached
    Signature agreed;              // of the first member, when last agreed upon
    std::vector<int64_t> extents;  // likewise
    Idle::iterator idle;           // place in idle_, when cached and not pending
    bool first_of_group = false;   // by its name
    std::vector<int> ends;         // of a message: who takes part, ascending
    bool has_memory = false;       // of a message: the receiver's signature, when last agreed upon
    std::vector<bool> announced;   // by place among those who take part
    size_t count = 0;              // of announced
    int last = -1;                 // rank that announced last
    TimePoint since{};             // when the first was announced; a join's is renewed by look_at()
    Duration told{0};              // how long it had waited when that was last told
    uint64_t mark = 0;             // of who hears
    std::map<size_t, Signature> full;  // by place; the others announced the id
  };
  using Slots = std::map<Key, Slot>;

  Stall stall_of(const Slot& slot) const;
  const Slot* oldest_slot() const;
  // When it is to be told the next time.
  static Duration told_after(const Slot& slot, Duration least) noexcept {
    return std::max(least, 2 * slot.told);
  }
  // Who takes part, ascending: the ends of a message, else all members of the set.
  const std::vector<int>& members_of(const Slot& slot) const;
  // What `rank`, at that place among them, announced when it was last agreed upon.
  static Signature recall(const Slot& slot, size_t place, int rank);
  // The ends of a message; nothing of another kind. Fails: one is no member, or `rank` is none.
  Result<std::vector<int>> ends_of(int rank, const Signature& signature) const;
  // Whether the receiver of a message has told what its memory is for.
  static bool has_memory(std::span<const int> ranks, std::span<const Signature> signatures);
  Status take_place(int rank);
  void refuse(const Key& key, Status why);
  Status count(int rank, Slot& slot);
  void announce_join(Slot& join);
  bool has_joined(uint32_t process_set, int rank) const;
  // Whether everybody who takes part has announced it or has joined.
  bool covered(const Slot& slot) const;
  void complete(Slot& slot);
  // Extents of what adds or removes a set.
  Result<std::vector<int64_t>> change_sets(const Key& key, const Signature& wanted);
  void agree_once(Slot& slot, std::vector<int64_t> extents, std::optional<StandIn> stand_in);
  void ready_again(Slot& slot);
  void agree(Slot& slot, std::vector<int64_t> extents, Signature first);
  void tell_ready(Slot& slot, uint64_t bytes);
  void reject_pending(Slot& slot, Status why);
  // Of a tensor that has begun to wait, and of one that has ended it.
  void begin_use(Slot& slot);
  void end_use(Slot& slot);
  // What waits under the group's name: a tensor, the first members of groups.
  std::vector<Slot*> uses_of(const Key& group);
  bool all_there(const Key& group, const std::vector<Slot*>& uses);
  Status unlike(const Key& group, std::vector<Slot*> uses);
  void reject_uses(const Key& group, const std::vector<Slot*>& uses);
  void reject_torn();
  // Slots of a set, with announcements, by name; but its join comes last.
  std::vector<Slot*> pending_of(uint32_t process_set);
  void remove_set(uint32_t id);
  void reject(const Key& key, Status why);
  void unannounce(Slot& slot);
  void settle(Slot& slot);
  uint32_t give_id();
  void evict_oldest();
  void forget_id(Slot& slot);
  void erase(Slot& slot);
  // The round that the next item of so many bytes, or so many of them together, goes into.
  Round& room_for(size_t bytes, size_t items = 1);

  Limits limits_;
  Hear hear_;
  TimePoint now_{};
  ProcessSets sets_;
  Slots slots_;
  std::map<uint32_t, Slot*> joins_;  // by process set: those that are pending
  std::unordered_map<uint32_t, Slot*> by_id_;
  std::map<Key, std::vector<Slot*>> firsts_;  // by group: first members that are pending
  std::set<Key> torn_;                        // groups by whose name ranks mean unlike ones
  Idle idle_;                                 // least recently agreed first
  std::vector<TimePoint> active_;             // of each rank: when it last announced anything
  std::vector<size_t> in_flight_;  // announcements of each rank whose answer nobody has taken
  std::vector<size_t> answered_;   // of these: the answer waits in rounds_
  size_t pending_ = 0;             // slots with announcements
  uint32_t last_id_ = 0;
  std::vector<Round> rounds_;  // to be told
  size_t used_ = 0;            // bytes of the last one, about
  size_t refused_ = 0;         // of what waits in them
  bool urgent_ = false;
  uint64_t ready_bytes_ = 0;
};

}  // namespace farandole::control

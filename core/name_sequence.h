#pragma once
// NameSequence: what the unnamed operations of one process set are called.

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "core/base/mutex.h"
#include "core/base/types.h"
#include "core/way.h"

namespace farandole {

// Each process set has its own, so that its members count alike whatever other sets they are in.
// Thread: any.
class NameSequence {
 public:
  // "allreduce.noname.7": the name of the next unnamed operation of that kind. What adds and what
  // removes process sets counts as one kind: ranks that do not agree which comes next hear of it,
  // instead of waiting for each other.
  std::string next(CollectiveKind kind);
  // "message.noname.7", which with_way() completes: each way counts for itself, so that its two
  // ends count alike whatever other messages they have. Requires: both are members.
  std::string next(Way way);
  // All members have joined, and some have named less than others: counts from 1 again, under names
  // that have not been ("allreduce.noname.1.7": after the first join).
  void restart();
  // For messages about an operation in a process set that does not exist: it counts nowhere.
  static std::string none(CollectiveKind kind);

 private:
  std::string numbered(const char* row, uint64_t number) const FARANDOLE_REQUIRES(mutex_);

  Mutex mutex_;
  uint64_t joins_ FARANDOLE_GUARDED_BY(mutex_) = 0;
  std::array<uint64_t, kKindCount> last_ FARANDOLE_GUARDED_BY(mutex_){};
  std::map<Way, uint64_t> last_of_way_ FARANDOLE_GUARDED_BY(mutex_);
};

}  // namespace farandole

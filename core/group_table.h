#pragma once
// GroupTable: the process sets that this rank knows of, in the order in which all agreed on them.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/group.h"

namespace farandole {

// Thread: any; add, retire and forget are the engine's, or come before it.
class GroupTable {
 public:
  using GroupPtr = std::shared_ptr<Group>;

  void add(GroupPtr group);
  // No longer to be found, but kept while its lane still has work: until forget().
  GroupPtr retire(uint32_t id);
  void forget(uint32_t id);

  // Whether a set may be added by that id: above all that have been.
  bool is_new(int64_t id) const;
  // Null where there is none.
  GroupPtr find(uint32_t id) const;
  // As find(), or one that is retired; of a message: that of its two ends.
  GroupPtr serving(uint32_t id, Way way = {}) const;
  // Has a group for messages on this way made where there is none. Does nothing where there is no
  // such set.
  void pair(uint32_t id, Way way, const std::function<GroupPtr()>& make);
  // With those of its pairs.
  std::vector<GroupPtr> all_of(const GroupPtr& group) const;
  // Why there is none of this id.
  Status missing(uint32_t id) const;
  // The name of the next unnamed operation of that kind in the set.
  // `way`: of a message, whose name has yet to get it. One that cannot be counts nowhere.
  std::string next_name(CollectiveKind kind, uint32_t process_set, Way way = {}) const;
  // Names what is unnamed, but for joins, and completes the names of messages. To be done before
  // anything can fail, so that automatic names advance alike on every rank.
  void name(std::vector<Request>& requests) const;
  std::vector<uint32_t> ids() const;
  // With those that are retired, and those of pairs.
  std::vector<GroupPtr> all() const;

 private:
  GroupPtr serving_locked(uint32_t id) const FARANDOLE_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::map<uint32_t, GroupPtr> groups_ FARANDOLE_GUARDED_BY(mutex_);
  std::map<uint32_t, GroupPtr> retired_ FARANDOLE_GUARDED_BY(mutex_);
  uint32_t last_id_ FARANDOLE_GUARDED_BY(mutex_) = 0;
};

}  // namespace farandole

#pragma once
// ProcessSets: which process sets there are at the coordinator, who is in them, and which of them
// cannot agree on anything any more.

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "core/base/status.h"

namespace farandole::control {

// Set 0, all ranks, always exists. An id is never given a second time. Thread: one at a time.
class ProcessSets {
 public:
  using Map = std::map<uint32_t, std::vector<int>>;  // members in rank order
  static constexpr size_t kMost = 1 << 16;

  // `given`: those that exist from the start; 0 need not be among them.
  ProcessSets(size_t size, Map given);

  // Null where there is none.
  const std::vector<int>* find(uint32_t id) const noexcept;
  // Requires: it exists.
  const std::vector<int>& at(uint32_t id) const { return sets_.at(id); }
  // Why there is none of this id.
  Status missing(uint32_t id) const;

  // Gives the new set's id. Fails: InvalidArgument saying what is wrong with its ranks.
  Result<uint32_t> add(std::span<const int64_t> ranks);
  // Fails: InvalidArgument where there is none, or it is that of all ranks.
  Status removable(std::span<const int64_t> operand) const;
  void remove(uint32_t id);

  // Every set with `rank` is broken from now on.
  void leave(int rank, const Status& why);
  // Null while the set can agree.
  const Status* broken(uint32_t id) const noexcept;

 private:
  friend struct StateAccess;  // of tests: copies and compares states
  size_t size_;
  Map sets_;
  std::map<uint32_t, Status> broken_;
  uint32_t last_id_ = 0;
};

}  // namespace farandole::control

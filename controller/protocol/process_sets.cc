#include "controller/protocol/process_sets.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "controller/protocol/mutation.h"
#include "core/base/format.h"

namespace farandole::control {

ProcessSets::ProcessSets(size_t size, Map given) : size_(size), sets_(std::move(given)) {
  std::vector<int> all(size);
  std::iota(all.begin(), all.end(), 0);
  sets_[0] = std::move(all);
  last_id_ = sets_.rbegin()->first;
}

const std::vector<int>* ProcessSets::find(uint32_t id) const noexcept {
  const auto found = sets_.find(id);
  return found == sets_.end() ? nullptr : &found->second;
}

Status ProcessSets::missing(uint32_t id) const {
  if (id <= last_id_)
    return error(Code::InvalidArgument, "process set {} was removed", id);
  return error(Code::InvalidArgument, "there is no process set {}", id);
}

Result<uint32_t> ProcessSets::add(std::span<const int64_t> ranks) {
  if (ranks.empty())
    return error(Code::InvalidArgument, "a process set needs one rank at least");
  for (size_t i = 0; i < ranks.size(); ++i) {
    if (ranks[i] < 0 || static_cast<size_t>(ranks[i]) >= size_)
      return error(
          Code::InvalidArgument, "rank {} does not exist; ranks are 0 to {}", ranks[i], size_ - 1);
    if (i > 0 && ranks[i] <= ranks[i - 1])
      return error(Code::InvalidArgument, "its ranks do not ascend");
  }
  for (const auto& [id, members] : sets_)
    if (std::ranges::equal(members, ranks))
      return error(
          Code::InvalidArgument,
          "ranks [{}] are process set {} already",
          fmt::join(ranks, ", "),
          id);
  if (sets_.size() >= kMost || last_id_ == std::numeric_limits<uint32_t>::max())
    return error(
        Code::InvalidArgument, "there are {} process sets, and no more are possible", sets_.size());
  const uint32_t id = FARANDOLE_MUTATE(ReuseSetId) ? sets_.rbegin()->first + 1 : last_id_ + 1;
  last_id_ = id;
  sets_.emplace(id, std::vector<int>(ranks.begin(), ranks.end()));
  return id;
}

Status ProcessSets::removable(std::span<const int64_t> operand) const {
  if (operand.size() != 1)
    return error(Code::InvalidArgument, "{} process sets at once", operand.size());
  const auto id = static_cast<uint32_t>(operand[0]);
  if (id == 0)
    return {Code::InvalidArgument, "process set 0, all ranks, cannot be removed"};
  return sets_.contains(id) ? Status::ok() : missing(id);
}

void ProcessSets::remove(uint32_t id) {
  sets_.erase(id);
  broken_.erase(id);
}

void ProcessSets::leave(int rank, const Status& why) {
  for (const auto& [id, members] : sets_)
    if (std::binary_search(members.begin(), members.end(), rank) &&
        !FARANDOLE_MUTATE(ForgetTheRemoved))
      broken_.try_emplace(id, why);
}

const Status* ProcessSets::broken(uint32_t id) const noexcept {
  const auto found = broken_.find(id);
  return found == broken_.end() ? nullptr : &found->second;
}

}  // namespace farandole::control

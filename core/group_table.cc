#include "core/group_table.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/base/format.h"

namespace farandole {

bool Group::has(int rank) const noexcept {
  return std::binary_search(members.begin(), members.end(), rank);
}

Status Group::excludes(int rank) const {
  return error(
      Code::InvalidArgument,
      "rank {} is not in process set {}, whose ranks are {}",
      rank,
      id,
      fmt::join(members, ", "));
}

void GroupTable::add(GroupPtr group) {
  MutexLock lock(mutex_);
  const uint32_t id = group->id;
  last_id_ = std::max(last_id_, id);
  groups_[id] = std::move(group);
}

GroupTable::GroupPtr GroupTable::retire(uint32_t id) {
  MutexLock lock(mutex_);
  auto node = groups_.extract(id);
  if (!node)
    return nullptr;
  GroupPtr group = node.mapped();
  retired_.insert(std::move(node));
  return group;
}

void GroupTable::forget(uint32_t id) {
  GroupPtr group;  // goes without the lock: it may join a thread
  MutexLock lock(mutex_);
  if (auto node = retired_.extract(id))
    group = std::move(node.mapped());
}

bool GroupTable::is_new(int64_t id) const {
  MutexLock lock(mutex_);
  return id > int64_t{last_id_} && id <= std::numeric_limits<uint32_t>::max();
}

GroupTable::GroupPtr GroupTable::find(uint32_t id) const {
  MutexLock lock(mutex_);
  const auto found = groups_.find(id);
  return found == groups_.end() ? nullptr : found->second;
}

GroupTable::GroupPtr GroupTable::serving(uint32_t id, Way way) const {
  MutexLock lock(mutex_);
  GroupPtr group = serving_locked(id);
  if (!group || !way.any())
    return group;
  const auto found = group->pairs.find({way.low(), way.high()});
  return found == group->pairs.end() ? nullptr : found->second;
}

GroupTable::GroupPtr GroupTable::serving_locked(uint32_t id) const {
  if (const auto found = groups_.find(id); found != groups_.end())
    return found->second;
  const auto found = retired_.find(id);
  return found == retired_.end() ? nullptr : found->second;
}

void GroupTable::pair(uint32_t id, Way way, const std::function<GroupPtr()>& make) {
  MutexLock lock(mutex_);
  const auto found = groups_.find(id);
  if (found == groups_.end())
    return;
  const std::pair ends(way.low(), way.high());
  if (!found->second->pairs.contains(ends))
    found->second->pairs.emplace(ends, make());
}

std::vector<GroupTable::GroupPtr> GroupTable::all_of(const GroupPtr& group) const {
  MutexLock lock(mutex_);
  std::vector<GroupPtr> all{group};
  for (const auto& [ends, pair] : group->pairs) all.push_back(pair);
  return all;
}

Status GroupTable::missing(uint32_t id) const {
  MutexLock lock(mutex_);
  if (id <= last_id_)
    return error(Code::InvalidArgument, "process set {} was removed", id);
  return error(Code::InvalidArgument, "there is no process set {}", id);
}

std::string GroupTable::next_name(CollectiveKind kind, uint32_t process_set, Way way) const {
  const GroupPtr group = find(process_set);
  if (!group)
    return NameSequence::none(kind);
  if (kind != CollectiveKind::Message)
    return group->names.next(kind);
  const bool counts = way.from != way.to && group->has(way.from) && group->has(way.to);
  return counts ? group->names.next(way) : NameSequence::none(kind);
}

void GroupTable::name(std::vector<Request>& requests) const {
  for (Request& request : requests) {
    const Signature& s = request.signature;
    if (request.name.empty() && s.kind != CollectiveKind::Join)
      request.name = next_name(s.kind, s.process_set, way_of(s));
    if (s.kind == CollectiveKind::Message)
      request.name = with_way(request.name, way_of(s));
  }
}

std::vector<uint32_t> GroupTable::ids() const {
  MutexLock lock(mutex_);
  std::vector<uint32_t> ids;
  for (const auto& [id, group] : groups_) ids.push_back(id);
  return ids;
}

std::vector<GroupTable::GroupPtr> GroupTable::all() const {
  MutexLock lock(mutex_);
  std::vector<GroupPtr> all;
  for (const auto* table : {&groups_, &retired_})
    for (const auto& [id, group] : *table) {
      all.push_back(group);
      for (const auto& [ends, pair] : group->pairs) all.push_back(pair);
    }
  return all;
}

}  // namespace farandole

// Caller: process sets that come and go, and joins.

#include <algorithm>

#include "core/base/format.h"
#include "tests/sim/caller.h"
#include "tests/support/group_of_name.h"
#include "tests/support/way_of_name.h"

namespace farandole::sim {

using control::Key;

bool Caller::ends_alone(const Key& key) {
  return key.name.empty() || key.name.starts_with('-');
}

std::vector<int> Caller::members(uint32_t process_set) const {
  if (process_set == 0)
    return parts_.plan->members(0);
  const auto found = sets_.find(process_set);
  return found == sets_.end() ? std::vector<int>() : found->second;
}

bool Caller::is_member(uint32_t process_set) const {
  const std::vector<int> all = members(process_set);
  return std::ranges::find(all, parts_.rank) != all.end();
}

std::vector<int> Caller::members(const Key& key) const {
  const Way way = testing::way_of_name(key.name);
  return way.any() ? std::vector<int>{way.low(), way.high()} : members(key.process_set);
}

bool Caller::takes_part(const Key& key) const {
  const std::vector<int> all = members(key);
  return std::ranges::find(all, parts_.rank) != all.end();
}

uint32_t Caller::lane_of(const Key& key) {
  const Way way = testing::way_of_name(key.name);
  const auto end = [](int rank) { return static_cast<uint32_t>(rank); };
  return way.any() ? 1U << 31 | key.process_set << 16 | end(way.low()) << 8 | end(way.high())
                   : key.process_set;
}

bool Caller::needs_departed(uint32_t process_set) const {
  const std::vector<int> all = members(process_set);
  return std::ranges::any_of(
      departed_, [&](int rank) { return rank == 0 || std::ranges::find(all, rank) != all.end(); });
}

void Caller::change_sets(const Key& key, const ReadyOp& op) {
  if (const Op* add = parts_.plan->adding(key.name)) {
    const uint32_t id = added_[key.name] = static_cast<uint32_t>(op.extents.at(0));
    sets_[id].assign(add->signature.operand.begin(), add->signature.operand.end());
    return settle(key);
  }
  const auto gone = std::ranges::find(parts_.plan->ops, key.name, &Op::name);
  const uint32_t id = added_.at(gone->of_set);
  removed_.insert(id);
  lanes_[id].queue.push_back(key);
  run(id);
}

std::optional<uint32_t> Caller::set_of(const Op& op, bool& drop) const {
  const bool removes = op.signature.kind == CollectiveKind::RemoveProcessSet;
  if (op.of_set.empty())
    return op.signature.process_set;
  if (const auto added = added_.find(op.of_set); added != added_.end()) {
    drop = !removes && (removed_.contains(added->second) || !is_member(added->second));
    return drop ? std::nullopt : std::optional(added->second);
  }
  const bool comes = in_flight_.contains({0, op.of_set}) ||
                     std::ranges::any_of(todo_, [&](const Op* o) { return o->name == op.of_set; });
  drop = !comes;
  return std::nullopt;
}

const Op* Caller::next(uint32_t& process_set) {
  for (size_t i = todo_.size(); i-- > 0;) {
    const Op* op = todo_[i];
    bool drop = false;
    const auto set = set_of(*op, drop);
    if (!set && !drop)
      continue;
    const bool removes = op->signature.kind == CollectiveKind::RemoveProcessSet;
    if (!drop && is_taken({removes ? 0 : *set, op->name}, op->step))
      return nullptr;
    todo_.erase(todo_.begin() + static_cast<ptrdiff_t>(i));
    if (drop)
      continue;
    process_set = *set;
    return op;
  }
  return nullptr;
}

// Whether what the name is of, be it a group of which other members are, is in flight from before.
bool Caller::is_taken(const Key& key, int step) const {
  const std::string group = testing::group_of_name(key.name).group;
  return in_flight_.contains(key) || std::ranges::any_of(in_flight_, [&](const auto& item) {
           const auto& [other, of] = item;
           return of != step && other.process_set == key.process_set &&
                  testing::group_of_name(other.name).group == group;
         });
}

bool Caller::join_all() {
  for (const auto& [key, step] : in_flight_)
    if (key.name.starts_with('+'))
      return false;
  std::vector<Announcement> joins(1);
  for (const auto& [id, members] : sets_)
    if (is_member(id) && !removed_.contains(id))
      joins.push_back({{}, {.process_set = id}});
  for (Announcement& item : joins) {
    Signature& s = item.signature;
    s.kind = CollectiveKind::Join;
    const Key key{s.process_set, {}};
    in_flight_[key] = step_;
    for (const auto& monitor : *parts_.monitors)
      monitor->on_submitted(parts_.rank, key, s, parts_.process->true_now());
    parts_.trace(fmt::format("joins set {}", s.process_set));
  }
  announce(std::move(joins));
  return true;
}

}  // namespace farandole::sim

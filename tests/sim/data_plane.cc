#include "tests/sim/data_plane.h"

#include <algorithm>

namespace farandole::sim {

void DataPlane::begin(
    int rank, const control::Key& key, uint64_t index, const std::vector<int>& members, Done done) {
  const Id id{key.process_set, index};
  Operation& operation = operations_[id];
  operation.members = members;
  operation.parts[rank] = {true, false, std::move(done)};
  ++operation.begun;
  const bool broken = break_what_is_reset(id);
  if (operation.begun == members.size() && !broken)
    return complete(id);
  for (const int member : members) {
    const std::optional<int> over = over_[static_cast<size_t>(member)];
    if (!operation.parts[member].begun && over)
      break_off(id, rank, member, *over);
  }
  watch_silence(id, rank);
}

// Whether anybody's connection within the operation is; those who have begun it know.
bool DataPlane::break_what_is_reset(const Id& id) {
  Operation& operation = operations_[id];
  bool any = false;
  const auto is_member = [&](int rank) {
    return std::ranges::find(operation.members, rank) != operation.members.end();
  };
  for (const auto& [a, b] : reset_) {
    if (!is_member(a) || !is_member(b))
      continue;
    any = true;
    if (operation.parts[a].begun)
      break_off(id, a, b, b);
    if (operation.parts[b].begun)
      break_off(id, b, a, a);
  }
  return any;
}

// What all have begun is as good as done.
void DataPlane::reset_between(int a, int b) {
  reset_.emplace(std::min(a, b), std::max(a, b));
  for (const auto& [id, operation] : operations_)
    if (operation.begun < operation.members.size())
      break_what_is_reset(id);
}

// In a ring: each hears the last of it from its neighbour.
void DataPlane::complete(const Id& id) {
  const std::vector<int> members = operations_[id].members;
  for (size_t i = 0; i < members.size(); ++i) {
    const int rank = members[i];
    const int from = members[(i + members.size() - 1) % members.size()];
    network_.path(from, rank).carry([this, id, rank] { finish(id, rank, std::nullopt); });
    watch_silence(id, rank);
  }
}

void DataPlane::finish(const Id& id, int rank, std::optional<PeerFailure> found) {
  processes_[static_cast<size_t>(rank)]->later(Duration(0), [this, id, rank, found] {
    Waiting& part = operations_[id].parts[rank];
    if (part.done || over_[static_cast<size_t>(rank)])
      return;
    part.done = true;
    part.tell(found);
  });
}

void DataPlane::replace(int rank, Process* process) {
  processes_[static_cast<size_t>(rank)] = process;
  over_[static_cast<size_t>(rank)].reset();
  std::erase_if(
      reset_, [&](const auto& pair) { return pair.first == rank || pair.second == rank; });
}

void DataPlane::break_off(const Id& id, int rank, int from, int culprit) {
  network_.path(from, rank).carry([this, id, rank, culprit] {
    finish(id, rank, PeerFailure{.rank = culprit, .cause = "data connection closed"});
  });
}

void DataPlane::end(int rank, int culprit) {
  std::optional<int>& over = over_[static_cast<size_t>(rank)];
  if (over)
    return;
  over = culprit;
  for (auto& [id, operation] : operations_) {
    if (operation.parts[rank].begun ||
        std::ranges::find(operation.members, rank) == operation.members.end())
      continue;
    for (auto& [other, part] : operation.parts)
      if (part.begun && !part.done)
        break_off(id, other, rank, culprit);
  }
}

// A process that was stopped meanwhile gives everybody a fresh deadline.
void DataPlane::watch_silence(const Id& id, int rank) {
  Process& process = *processes_[static_cast<size_t>(rank)];
  process.later(timeout_, [this, id, rank, &process, stops = process.stops()] {
    Operation& operation = operations_[id];
    if (operation.parts[rank].done || over_[static_cast<size_t>(rank)])
      return;
    if (process.stops() != stops)
      return watch_silence(id, rank);
    const auto late = std::ranges::find_if(
        operation.members, [&](int member) { return !operation.parts[member].begun; });
    const auto own = std::ranges::find(operation.members, rank);
    const int neighbour = own == operation.members.begin() ? operation.members.back() : *(own - 1);
    const int culprit = late == operation.members.end() ? neighbour : *late;
    finish(
        id,
        rank,
        PeerFailure{.rank = culprit, .cause = "no byte came in time", .code = Code::Timeout});
  });
}

}  // namespace farandole::sim

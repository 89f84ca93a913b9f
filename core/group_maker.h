#pragma once
// GroupMaker: how a session comes to the group of a process set.

#include <cstdint>
#include <memory>
#include <vector>

#include "core/completion.h"
#include "core/emitter.h"
#include "core/group_table.h"
#include "core/session.h"

namespace farandole {

// Thread: one at a time. What it points to outlives the groups.
struct GroupMaker {
  SessionParts* parts = nullptr;
  Completion* completion = nullptr;
  const Emitter* emitter = nullptr;
  Device* device = nullptr;
  Executor::Broken broken;
  int rank = 0;

  // Those that exist from the start: all ranks, whose lane has its thread at once, and those of the
  // settings. Fails: System where there is no thread, InvalidArgument.
  Status make_first(GroupTable& to) const;
  // `members`: global ranks, ascending. Connects nothing yet.
  std::shared_ptr<Group> make(uint32_t id, std::vector<int> members) const;
};

}  // namespace farandole

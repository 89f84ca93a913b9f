#pragma once
// GroupMaker: how a session comes to the group of a process set.

#include <cstdint>
#include <memory>
#include <string>
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
  // Of an operation of this rank's. Makes the group of the two ends of a message in `groups`, where
  // there is none: it costs no thread and no connection before both have announced one. Thread:
  // any.
  TicketPtr make_ticket(const Signature& signature, GroupTable& groups) const;
  std::shared_ptr<Group> make_pair(uint32_t id, Way way) const;
  // `tag`: unique among the groups of this job. Requires: this rank is among them.
  Executor::Parts make_parts(const std::string& tag, std::vector<int> members) const;
};

}  // namespace farandole

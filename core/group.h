#pragma once
// Group: the ranks of one process set, with the lane and the executor that serve them.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/agreement.h"
#include "core/executor.h"
#include "core/lane.h"
#include "core/name_sequence.h"
#include "core/way.h"

namespace farandole {

// What a rank knows of a process set, or of the two of its members between which messages go: these
// have a communicator and a lane of their own, so that messages delay no collective and no other
// pair's. Thread: the fixed fields from any; the others are the engine's.
struct Group {
  // Of a set that this rank is not in.
  Group(uint32_t process_set, std::vector<int> ranks)
      : id(process_set), members(std::move(ranks)) {}
  // Of one that it is in: costs no thread and no connection before the first bucket.
  Group(uint32_t process_set, const std::string& lane_name, Executor::Parts parts, bool of_pair)
      : id(process_set),
        members(parts.members),
        index(parts.index),
        pair(of_pair),
        executor(std::make_unique<Executor>(std::move(parts))),
        lane(std::make_unique<Lane>(lane_name)) {}

  bool included() const noexcept { return index >= 0; }
  bool has(int rank) const noexcept;
  // Why `rank`, which is not in it, can submit nothing.
  Status excludes(int rank) const;

  const uint32_t id;
  const std::vector<int> members;  // global ranks, ascending
  const int index = -1;            // own place in members
  const bool pair = false;         // of two members of the set
  NameSequence names;              // any thread
  const std::unique_ptr<Executor> executor;
  const std::unique_ptr<Lane> lane;  // last of the two: joined before the executor goes

  // By their ends. GroupTable's, whatever the thread.
  std::map<std::pair<int, int>, std::shared_ptr<Group>> pairs;

  std::optional<PeerFailure> departed;  // the first member that left, or the coordinator's rank
  bool joined = false;                  // this rank's join waits for the others
};

}  // namespace farandole

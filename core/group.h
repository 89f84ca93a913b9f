#pragma once
// Group: the ranks of one process set, with the lane and the executor that serve them.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/executor.h"
#include "core/lane.h"

namespace farandole {

struct Group {
  Group(const std::string& lane_name, Executor::Parts parts)
      : members(parts.members),
        executor(std::make_unique<Executor>(std::move(parts))),
        lane(lane_name) {}

  std::vector<int> members;  // global ranks, ascending
  std::unique_ptr<Executor> executor;
  Lane lane;  // last: joined before the executor goes
};

}  // namespace farandole

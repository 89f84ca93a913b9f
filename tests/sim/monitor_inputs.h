#pragma once
// What tests of monitors show them.

#include <utility>
#include <vector>

#include "core/agreement.h"
#include "core/base/clock.h"

namespace farandole::sim {

constexpr TimePoint kNow{std::chrono::seconds(1000)};

inline Agreement round_of(uint64_t number, std::vector<ReadyOp> ready) {
  return {.epoch = 1, .round = number, .ready = std::move(ready), .rejected = {}};
}

}  // namespace farandole::sim

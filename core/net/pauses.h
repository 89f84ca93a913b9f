#pragma once
// The pauses of connect_to() between two attempts, which the simulator has as well.

#include <algorithm>
#include <chrono>

#include "core/base/clock.h"

namespace farandole::net {

inline constexpr Duration kFirstPause = std::chrono::milliseconds(4);
inline constexpr Duration kLongestPause = std::chrono::milliseconds(200);

// A quarter longer each time, so that who came early by some time loses a quarter of it at most,
// and not all of it again, when the server is there.
constexpr Duration longer(Duration pause) {
  return std::min(pause + pause / 4, kLongestPause);
}

}  // namespace farandole::net

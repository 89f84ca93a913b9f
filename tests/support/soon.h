#pragma once
// When a test stops waiting for what happens at once.

#include "core/base/clock.h"

namespace farandole::testing {

inline TimePoint soon() {
  return steady_now() + std::chrono::seconds(20);
}

}  // namespace farandole::testing

#pragma once
// Durations as the calls of the operating system take them.

#include <algorithm>
#include <ctime>

#include "core/base/clock.h"

namespace farandole {

// A negative duration gives none.
inline timespec to_timespec(Duration span) noexcept {
  constexpr Duration::rep kSecond = 1'000'000'000;
  const auto ns = std::max<Duration::rep>(span.count(), 0);
  return {static_cast<time_t>(ns / kSecond), static_cast<long>(ns % kSecond)};
}

}  // namespace farandole

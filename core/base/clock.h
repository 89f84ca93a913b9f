#pragma once
// Time as a seam: what decides takes a TimePoint or a Clock, so tests and the simulator own time.

#include <chrono>

namespace farandole {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const noexcept = 0;
};

// CLOCK_MONOTONIC. Stateless, therefore shareable.
class SteadyClock final : public Clock {
 public:
  TimePoint now() const noexcept override { return std::chrono::steady_clock::now(); }
};

inline TimePoint steady_now() noexcept {
  return std::chrono::steady_clock::now();
}

}  // namespace farandole

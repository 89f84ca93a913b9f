#pragma once
// YieldHabit: whether a thread that waits for a peer gives way for a while, or sleeps at once.
//
// To give way costs less than to be woken, while nobody but peers wants the cores. Where other
// programs keep them busy, too, who gives way comes back after the time slices of them all, which
// are milliseconds each; who sleeps and is woken goes before them. So once that has taken long, the
// next waits do without.

#include <sched.h>

#include "core/base/clock.h"

namespace farandole {

// Thread: the one that waits.
class YieldHabit {
 public:
  // Longer than a peer's own turn, shorter than a time slice.
  static constexpr Duration kLong = std::chrono::milliseconds(1);
  static constexpr int kWaitsWithout = 256;

  // Asked once a wait: whether to give way in this one.
  bool pays() noexcept {
    if (waits_without_ == 0)
      return true;
    --waits_without_;
    return false;
  }

  // Gives way once. False: it took so long that it is better to sleep now.
  bool yield() noexcept {
    const TimePoint before = steady_now();
    ::sched_yield();
    return came_back_after(steady_now() - before);
  }
  bool came_back_after(Duration took) noexcept {
    if (took < kLong)
      return true;
    waits_without_ = kWaitsWithout;
    return false;
  }

 private:
  int waits_without_ = 0;
};

}  // namespace farandole

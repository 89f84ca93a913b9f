#pragma once
// RateLimit: lets one event per span through and counts the others, for log lines that strangers
// can provoke. Thread: one at a time.

#include <cstdint>
#include <optional>
#include <utility>

#include "core/base/clock.h"

namespace farandole::net {

class RateLimit {
 public:
  explicit RateLimit(Duration span) : span_(span) {}
  // nullopt: keep quiet. Else how many were kept quiet since the last that came through.
  std::optional<uint64_t> pass(TimePoint now) noexcept {
    if (next_ && now < *next_) {
      ++suppressed_;
      return std::nullopt;
    }
    next_ = now + span_;
    return std::exchange(suppressed_, 0);
  }
  // When the next one comes through at the latest.
  TimePoint next() const noexcept { return next_.value_or(TimePoint::min()); }

 private:
  Duration span_;
  std::optional<TimePoint> next_;
  uint64_t suppressed_ = 0;
};

}  // namespace farandole::net

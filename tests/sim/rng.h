#pragma once
// Rng: the simulator's only source of chance. The same seed and stream give the same numbers with
// every compiler and library.

#include <cstdint>
#include <utility>
#include <vector>

#include "core/base/clock.h"

namespace farandole::sim {

// One bit mixer for seeds, streams and digests (the finaliser of SplitMix64).
constexpr uint64_t mix(uint64_t x) noexcept {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

// A stream per use keeps uses independent: leaving one out does not change what others draw.
class Rng {
 public:
  explicit Rng(uint64_t seed, uint64_t stream = 0) noexcept : state_(mix(seed ^ mix(stream))) {}

  uint64_t next() noexcept { return mix(state_++); }
  // Requires: n > 0.
  uint64_t below(uint64_t n) noexcept { return next() % n; }
  // Inclusive.
  int64_t between(int64_t low, int64_t high) noexcept {
    return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low) + 1));
  }
  Duration between(Duration low, Duration high) noexcept {
    return Duration(between(low.count(), high.count()));
  }
  bool chance(unsigned percent) noexcept { return below(100) < percent; }
  template <typename T>
  const T& pick(const std::vector<T>& from) noexcept {
    return from[below(from.size())];
  }
  template <typename T>
  void shuffle(std::vector<T>& items) noexcept {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  uint64_t state_;
};

}  // namespace farandole::sim

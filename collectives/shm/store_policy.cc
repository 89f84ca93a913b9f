#include "collectives/shm/store_policy.h"

#include <algorithm>
#include <bit>

namespace farandole::shm {
namespace {

// Samples of each policy before they are compared.
constexpr uint32_t kTrials = 3;
// One operation in so many tries the dearer policy again; the rarer, the dearer it was.
constexpr uint32_t kRetryPeriod = 64;
constexpr uint32_t kRareRetryPeriod = 1024;
constexpr double kMuchDearer = 2.0;
// A cheaper sample counts at once, a dearer one little: most of what disturbs a measure adds to it.
constexpr double kRise = 0.1;

constexpr int kLowestLatencyBits = 5;  // below 64 ns
constexpr int kLowestSizeBits = 13;    // below 16 KiB

size_t class_of(uint64_t value, int lowest_bits, size_t classes) {
  const int bits = std::bit_width(value) - 1 - lowest_bits;
  return static_cast<size_t>(std::clamp(bits, 0, static_cast<int>(classes) - 1));
}

}  // namespace

StoreTuner::Cell& StoreTuner::cell(size_t bytes) noexcept {
  return cells_[latency_class_][class_of(bytes, kLowestSizeBits, kSizeClasses)];
}

void StoreTuner::observe_handoff(Duration latency) noexcept {
  latency_class_ =
      class_of(static_cast<uint64_t>(latency.count()), kLowestLatencyBits, kLatencyClasses);
}

StoreTuner::Policy StoreTuner::choose(size_t bytes) noexcept {
  Cell& c = cell(bytes);
  const Arm& plain = c.arms[0];
  const Arm& streaming = c.arms[1];
  ++c.uses;
  if (plain.samples < kTrials || streaming.samples < kTrials) {
    current_ = plain.samples <= streaming.samples ? Policy::Plain : Policy::NonTemporal;
    return current_;
  }
  const bool plain_wins = plain.cost <= streaming.cost;
  const double ratio = plain_wins ? streaming.cost / plain.cost : plain.cost / streaming.cost;
  const uint32_t period = ratio > kMuchDearer ? kRareRetryPeriod : kRetryPeriod;
  const bool retry = c.uses % period == 0;
  current_ = plain_wins != retry ? Policy::Plain : Policy::NonTemporal;
  return current_;
}

void StoreTuner::report(size_t bytes, Duration took) noexcept {
  Arm& arm = cell(bytes).arms[static_cast<size_t>(current_)];
  const double cost =
      static_cast<double>(std::max<int64_t>(took.count(), 1)) / static_cast<double>(bytes);
  if (arm.samples == 0 || cost < arm.cost)
    arm.cost = cost;
  else
    arm.cost += (cost - arm.cost) * kRise;
  ++arm.samples;
}

}  // namespace farandole::shm

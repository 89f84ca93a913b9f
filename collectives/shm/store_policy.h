#pragma once
// StoreTuner: learns, while a group works, whether stores that go around the caches pay.
//
// The lines of a slot lie in the cache of the core that read them last. Where that core is far
// (another cache cluster, another socket, or where a hypervisor moved it), taking them back costs
// many times a store to memory; where it is near, it is the cheaper way. Virtual cores change
// between the two every few seconds. So the tuner keeps, for each class of hand-off latency and of
// message size, what a byte cost with either policy, and uses the cheaper; a change of latency
// leads to the other class's memory at once. The dearer one is tried again now and then.

#include <array>
#include <cstddef>
#include <cstdint>

#include "collectives/cpu/reduce.h"
#include "core/base/clock.h"

namespace farandole::shm {

// Value type. Thread: one.
class StoreTuner {
 public:
  using Policy = cpu::StorePolicy;

  // The latest measure of how long a flag takes from core to core.
  void observe_handoff(Duration latency) noexcept;
  // For the next operation of `bytes`; to be followed by report() of the same size.
  Policy choose(size_t bytes) noexcept;
  // What that operation took.
  void report(size_t bytes, Duration took) noexcept;

 private:
  static constexpr size_t kLatencyClasses = 8, kSizeClasses = 16;

  struct Arm {
    double cost = 0;  // nanoseconds per byte
    uint32_t samples = 0;
  };
  struct Cell {
    std::array<Arm, 2> arms;  // by Policy
    uint32_t uses = 0;
  };

  Cell& cell(size_t bytes) noexcept;

  size_t latency_class_ = 0;
  Policy current_ = Policy::Plain;
  std::array<std::array<Cell, kSizeClasses>, kLatencyClasses> cells_{};
};

}  // namespace farandole::shm

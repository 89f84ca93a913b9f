#pragma once
// Counters: an observer that counts. Monotonic since the session's start; read them at any time.

#include <array>
#include <atomic>
#include <cstdint>

#include "core/observer.h"

namespace farandole {

// Thread: any.
class Counters final : public Observer {
 public:
  struct Values {
    uint64_t submitted = 0;
    uint64_t agreed = 0;
    uint64_t rejected = 0;
    uint64_t settled_ok = 0;
    uint64_t settled_failed = 0;
    uint64_t buckets = 0;
    uint64_t bytes = 0;             // of completed buckets, counted once per bucket
    uint64_t busy_nanoseconds = 0;  // lanes' time inside collectives, summed over lanes
  };

  void on(const Event& event) noexcept override;
  Values read() const noexcept;

 private:
  std::atomic<uint64_t> submitted_{0};
  std::atomic<uint64_t> agreed_{0};
  std::atomic<uint64_t> rejected_{0};
  std::atomic<uint64_t> settled_ok_{0};
  std::atomic<uint64_t> settled_failed_{0};
  std::atomic<uint64_t> buckets_{0};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> busy_nanoseconds_{0};
};

}  // namespace farandole

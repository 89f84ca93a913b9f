#pragma once
// Counters: what a session has done so far. They only grow; read them at any time.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/observer.h"

namespace farandole {

// Thread: any. Who has seen a ticket settle finds it counted. Values of one reading need not belong
// to one instant, but follow from one another: what is settled was submitted, what went well was
// agreed upon, and what a bucket moved was agreed upon.
class Counters final : public Observer {
 public:
  struct Values {
    uint64_t submitted = 0;
    uint64_t agreed = 0;
    // By agreement, because of what the ranks submitted; not those that a departed rank ended.
    uint64_t rejected = 0;
    uint64_t settled_ok = 0;
    uint64_t settled_failed = 0;
    uint64_t buckets = 0;           // that have ended, however
    uint64_t bytes = 0;             // size of this rank's input to buckets that succeeded
    uint64_t busy_nanoseconds = 0;  // from a bucket's begin to its end, summed over all
  };

  void on(const Event& event) noexcept override;
  Values read() const noexcept;

 private:
  // Callers, engine and lanes count at the same time: each has a cache line of its own.
  static constexpr size_t kLineBytes = 64;
  struct alignas(kLineBytes) ByCallers {
    std::atomic<uint64_t> submitted{0};
  };
  struct alignas(kLineBytes) ByEngine {
    std::atomic<uint64_t> agreed{0};
    std::atomic<uint64_t> rejected{0};
  };
  struct alignas(kLineBytes) ByLanes {
    std::atomic<uint64_t> settled_ok{0};
    std::atomic<uint64_t> settled_failed{0};  // by the engine, too; failures are rare
    std::atomic<uint64_t> buckets{0};
    std::atomic<uint64_t> bytes{0};
    std::atomic<uint64_t> busy_nanoseconds{0};
  };

  void count_bucket(const Event& event) noexcept;

  ByCallers callers_;
  ByEngine engine_;
  ByLanes lanes_;
};

}  // namespace farandole

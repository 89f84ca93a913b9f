#pragma once
// TimelineRing: records on their way from those who do the work to the one thread that writes them
// down. Bounded: where it is full a record is lost, and nobody waits.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/base/types.h"
#include "core/observer.h"

namespace farandole {

// Of fixed size; names are numbers (TimelineNames).
struct TimelineRecord {
  int64_t when = 0;  // nanoseconds of the steady clock
  // Submitted: bytes; Agreed, Round: the round's number; RankReady, PeerFailed: the rank.
  uint64_t value = 0;
  uint32_t recording = 0;  // which one it belongs to
  uint32_t track = 0;      // of a tensor
  uint32_t label = 0;      // Phase::Moving: the communicator's; PeerFailed: the cause
  EventKind kind = EventKind::Submitted;
  uint8_t collective = 0;
  uint8_t detail = 0;  // Submitted: dtype; Phase: phase; Settled, PeerFailed: code
};

// Thread: push from any; pop from one at a time. Neither waits.
class TimelineRing {
 public:
  // Requires: a power of two.
  explicit TimelineRing(size_t capacity)
      : mask_(capacity - 1), cells_(std::make_unique<Cell[]>(capacity)) {
    for (size_t i = 0; i < capacity; ++i) cells_[i].turn.store(i, std::memory_order_relaxed);
  }

  // How many were pushed before this one, or kFull. Sequentially consistent with whatever the
  // caller looks at afterwards: a reader that finds nothing and then says so is seen to have done.
  static constexpr uint64_t kFull = UINT64_MAX;
  uint64_t push(const TimelineRecord& record) noexcept {
    const uint64_t place = claim();
    if (place != kFull)
      put(place, record);
    return place;
  }
  // The two halves of push(): whoever is interrupted between them keeps all that is pushed later
  // from being popped.
  uint64_t claim() noexcept {
    uint64_t place = head_.load(std::memory_order_relaxed);
    for (;;) {
      const uint64_t turn = cells_[place & mask_].turn.load(std::memory_order_acquire);
      if (turn < place)
        return kFull;
      if (turn > place)
        place = head_.load(std::memory_order_relaxed);
      else if (head_.compare_exchange_weak(place, place + 1, std::memory_order_relaxed))
        return place;
    }
  }
  // Requires: claim() gave the place.
  void put(uint64_t place, const TimelineRecord& record) noexcept {
    Cell& cell = cells_[place & mask_];
    cell.record = record;
    cell.turn.store(place + 1, std::memory_order_seq_cst);
  }

  // False where the next one has not come.
  bool pop(TimelineRecord& record) noexcept {
    Cell& cell = cells_[tail_ & mask_];
    if (cell.turn.load(std::memory_order_seq_cst) != tail_ + 1)
      return false;
    record = cell.record;
    cell.turn.store(tail_ + mask_ + 1, std::memory_order_release);
    ++tail_;
    return true;
  }
  bool has_more() const noexcept {
    return cells_[tail_ & mask_].turn.load(std::memory_order_seq_cst) == tail_ + 1;
  }
  // Records that have a place and were not popped. Thread: as pop.
  uint64_t left() const noexcept { return head_.load(std::memory_order_acquire) - tail_; }

 private:
  struct Cell {
    std::atomic<uint64_t> turn{0};  // place: free for it; place + 1: holds it
    TimelineRecord record;
  };
  static constexpr size_t kLineBytes = 64;

  const uint64_t mask_;
  const std::unique_ptr<Cell[]> cells_;
  alignas(kLineBytes) std::atomic<uint64_t> head_{0};
  alignas(kLineBytes) uint64_t tail_ = 0;
};

}  // namespace farandole

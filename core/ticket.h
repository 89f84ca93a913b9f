#pragma once
// Ticket: the promise of one submitted tensor. Settles exactly once, on whatever thread ends it.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/device.h"
#include "core/way.h"

namespace farandole {

// What a settled ticket holds besides its status.
struct Outcome {
  void* data = nullptr;         // the caller's `out`, or `owned`
  Buffer owned;                 // memory that Farandole allocated for the result
  std::vector<int64_t> shape;   // of the result; [0] where this rank has none
  std::vector<int64_t> splits;  // alltoall, and gather on its root: rows received from each member
  // join: the rank that joined last; add_process_set: the new id; scatter, message: the root's
  // number.
  int64_t value = -1;  // other collectives, but a barrier: members that took part, and not joined
  DType dtype = DType::Float32;  // of the result
};

// Thread: any.
class Ticket {
 public:
  // Whose lane ends it: that of a process set, or of the two ends of a message there.
  explicit Ticket(uint32_t process_set = 0, Way way = {}) noexcept
      : process_set_(process_set), way_(way) {}
  uint32_t process_set() const noexcept { return process_set_; }
  Way way() const noexcept { return way_; }

  using Callback = std::function<void(const Status&)>;

  bool settled() const noexcept { return settled_.load(std::memory_order_acquire); }
  // False once `deadline` passed without the ticket settling.
  bool wait_until(TimePoint deadline);
  // As wait_until, but also returns when another thread poked the ticket: a lane that has work for
  // the thread that waits here (see lane.h).
  enum class Wake { Settled, Poked, Deadline };
  Wake wait_poked(TimePoint deadline);
  void poke();
  // Requires: settled().
  const Status& status() const noexcept { return status_; }
  Outcome& outcome() noexcept { return outcome_; }

  // Calls back once, when the ticket settles, on the settling thread; at once if it has. One
  // callback per ticket. It must not throw or block.
  void on_settled(Callback callback);
  // Returns false, and changes nothing, when it had settled before.
  bool settle(Status status, Outcome outcome = {}) noexcept;

 private:
  const uint32_t process_set_;
  const Way way_;
  std::atomic<bool> settled_{false};
  Mutex mutex_;
  CondVar cond_;
  Callback callback_ FARANDOLE_GUARDED_BY(mutex_);
  bool poked_ FARANDOLE_GUARDED_BY(mutex_) = false;
  Status status_;    // written once, before settled_
  Outcome outcome_;  // likewise
};

using TicketPtr = std::shared_ptr<Ticket>;

}  // namespace farandole

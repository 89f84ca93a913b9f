#include "core/ticket.h"

#include <utility>

namespace farandole {

bool Ticket::wait_until(TimePoint deadline) {
  MutexLock lock(mutex_);
  while (!settled()) {
    if (!cond_.wait_until(mutex_, deadline))
      return settled();
  }
  return true;
}

Ticket::Wake Ticket::wait_poked(TimePoint deadline) {
  MutexLock lock(mutex_);
  while (!settled() && !poked_) {
    if (!cond_.wait_until(mutex_, deadline) && !settled() && !poked_)
      return Wake::Deadline;
  }
  poked_ = false;
  return settled() ? Wake::Settled : Wake::Poked;
}

void Ticket::poke() {
  MutexLock lock(mutex_);
  poked_ = true;
  cond_.notify_all();
}

void Ticket::on_settled(Callback callback) {
  {
    MutexLock lock(mutex_);
    if (!settled()) {
      callback_ = std::move(callback);
      return;
    }
  }
  callback(status_);
}

bool Ticket::settle(Status status, Outcome outcome) noexcept {
  Callback callback;
  {
    MutexLock lock(mutex_);
    if (settled())
      return false;
    status_ = std::move(status);
    outcome_ = std::move(outcome);
    callback.swap(callback_);
    settled_.store(true, std::memory_order_release);
    // Notified under the lock: a waiter may own the last reference once it sees `settled_`.
    cond_.notify_all();
  }
  if (callback)
    callback(status_);
  return true;
}

}  // namespace farandole

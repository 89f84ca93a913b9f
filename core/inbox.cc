#include "core/inbox.h"

#include <algorithm>
#include <exception>
#include <type_traits>
#include <utility>

namespace farandole {

static_assert(std::is_nothrow_move_assignable_v<Message>, "push and take_back lose none");

bool Inbox::push(Message&& message) {
  const bool here = loop_.on_loop_thread();
  uint64_t number = 0;
  {
    MutexLock lock(mutex_);
    if (closed_)
      return false;
    Queued& queued = queue_.emplace_back();
    queued.message = std::move(message);
    queued.number = number = ++pushed_;
    if (handling_)
      return true;
  }
  if (here) {
    handle_all();
    return true;
  }
  // Nobody relies on the wake-up of another message, which may fail and be taken back with it.
  try {
    loop_.post([self = shared_from_this()] { self->handle_all(); });
    return true;
  } catch (...) {
    if (!take_back(number, message))
      return true;
    throw;
  }
}

// False where it has been handled, or is about to be by whoever handles what is before it.
bool Inbox::take_back(uint64_t number, Message& message) {
  MutexLock lock(mutex_);
  const auto place = std::find_if(
      queue_.begin(), queue_.end(), [&](const Queued& other) { return other.number == number; });
  if (place == queue_.end() || handling_)
    return false;
  message = std::move(place->message);
  queue_.erase(place);
  return true;
}

// Handles the head of the queue without the lock.
void Inbox::handle_one() {
  Message message = std::move(queue_.front().message);
  queue_.pop_front();
  const MutexUnlock unlocked(mutex_);
  handler_(std::move(message));
}

void Inbox::handle_queued() {
  const bool outer = std::exchange(handling_, true);
  std::exception_ptr thrown;
  while (!queue_.empty()) {
    try {
      handle_one();
    } catch (...) {
      if (!thrown)
        thrown = std::current_exception();
    }
  }
  handling_ = outer;
  quiet_.notify_all();
  if (thrown)
    std::rethrow_exception(thrown);
}

void Inbox::handle_all() {
  MutexLock lock(mutex_);
  if (!handling_)
    handle_queued();
}

bool Inbox::drain_until(TimePoint deadline) {
  MutexLock lock(mutex_);
  while (handling_ || !queue_.empty()) {
    if (!quiet_.wait_until(mutex_, deadline))
      return !handling_ && queue_.empty();
  }
  return true;
}

bool Inbox::close(TimePoint deadline) {
  MutexLock lock(mutex_);
  closed_ = true;
  while (handling_ && !loop_.on_loop_thread()) {
    if (!quiet_.wait_until(mutex_, deadline) && handling_)
      return false;
  }
  handle_queued();
  return true;
}

}  // namespace farandole

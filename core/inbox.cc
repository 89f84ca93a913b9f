#include "core/inbox.h"

#include <utility>

namespace farandole {

bool Inbox::push(Message&& message) {
  const bool here = loop_.on_loop_thread();
  {
    MutexLock lock(mutex_);
    if (closed_)
      return false;
    queue_.push_back(std::move(message));
    if (handling_)
      return true;
    if (!here && std::exchange(scheduled_, true))
      return true;
  }
  if (here)
    handle_all();
  else
    loop_.post([self = shared_from_this()] { self->handle_all(); });
  return true;
}

void Inbox::handle_all() {
  MutexLock lock(mutex_);
  scheduled_ = false;
  if (handling_)
    return;
  handling_ = true;
  while (!queue_.empty()) {
    Message message = std::move(queue_.front());
    queue_.pop_front();
    mutex_.unlock();
    handler_(std::move(message));
    mutex_.lock();
  }
  handling_ = false;
  quiet_.notify_all();
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
  while (!queue_.empty()) {
    Message message = std::move(queue_.front());
    queue_.pop_front();
    mutex_.unlock();
    handler_(std::move(message));
    mutex_.lock();
  }
  return true;
}

}  // namespace farandole

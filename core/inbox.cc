#include "core/inbox.h"

#include <algorithm>
#include <utility>

namespace farandole {

bool Inbox::push(Message&& message) {
  const bool here = loop_.on_loop_thread();
  const Message* queued = nullptr;
  {
    MutexLock lock(mutex_);
    if (closed_)
      return false;
    queue_.push_back(std::move(message));
    if (handling_)
      return true;
    if (!here && std::exchange(scheduled_, true))
      return true;
    queued = &queue_.back();
  }
  if (here) {
    handle_all();
    return true;
  }
  try {
    loop_.post([self = shared_from_this()] { self->handle_all(); });
    return true;
  } catch (...) {
    if (!take_back(queued, message))
      return true;
    throw;
  }
}

// What is queued stays where it is in memory until it is handled. False: it has been.
bool Inbox::take_back(const Message* queued, Message& message) {
  MutexLock lock(mutex_);
  scheduled_ = false;
  const auto place = std::find_if(
      queue_.begin(), queue_.end(), [&](const Message& other) { return &other == queued; });
  if (place == queue_.end())
    return false;
  message = std::move(*place);
  queue_.erase(place);
  return true;
}

// Handles the head of the queue without the lock.
void Inbox::handle_one() {
  Message message = std::move(queue_.front());
  queue_.pop_front();
  const MutexUnlock unlocked(mutex_);
  handler_(std::move(message));
}

void Inbox::handle_all() {
  MutexLock lock(mutex_);
  scheduled_ = false;
  if (handling_)
    return;
  handling_ = true;
  try {
    while (!queue_.empty()) handle_one();
  } catch (...) {
    handling_ = false;
    quiet_.notify_all();
    throw;
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
  while (!queue_.empty()) handle_one();
  return true;
}

}  // namespace farandole

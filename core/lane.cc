#include "core/lane.h"

#include <utility>

#include "core/base/thread.h"

namespace farandole {

Lane::Lane(std::string thread_name) : thread_name_(std::move(thread_name)), label_(log_label()) {}

Lane::~Lane() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable())
    thread_.join();
}

void Lane::start() {
  MutexLock lock(mutex_);
  start_locked();
}

void Lane::start_locked() {
  if (thread_.joinable())
    return;
  thread_ = start_thread(thread_name_, [this] {
    const LogScope scope(label_);
    run();
  });
}

bool Lane::used() {
  MutexLock lock(mutex_);
  return used_;
}

void Lane::post(Work work) {
  MutexLock lock(mutex_);
  start_locked();
  used_ = true;
  queue_.push_back(std::move(work));
  if (!busy_)
    wake_runner();
}

void Lane::wake_runner() {
  if (helpers_.empty())
    wake_.notify_one();
  else
    helpers_.front()->poke();
}

bool Lane::run_one() noexcept {
  Work work;
  {
    MutexLock lock(mutex_);
    if (busy_ || queue_.empty())
      return false;
    work = std::move(queue_.front());
    queue_.pop_front();
    busy_ = true;
  }
  work();
  work = nullptr;  // destroyed by the thread that ran it, before anybody may see the lane idle
  MutexLock lock(mutex_);
  busy_ = false;
  if (queue_.empty())
    idle_.notify_all();
  return true;
}

void Lane::run() {
  for (;;) {
    {
      MutexLock lock(mutex_);
      while ((queue_.empty() || busy_) && !(stopping_ && queue_.empty())) wake_.wait(mutex_);
      if (queue_.empty())
        return;
    }
    run_one();
  }
}

bool Lane::help_until(Ticket& ticket, TimePoint deadline) {
  std::list<Ticket*>::iterator self;
  {
    MutexLock lock(mutex_);
    self = helpers_.insert(helpers_.begin(), &ticket);
  }
  Ticket::Wake wake = Ticket::Wake::Poked;
  while (wake == Ticket::Wake::Poked && !given_up()) {
    while (!ticket.settled() && run_one()) {
    }
    wake = ticket.wait_poked(deadline);
  }
  MutexLock lock(mutex_);
  helpers_.erase(self);
  // What is left was perhaps meant for this thread, or queued while it ran: pass it on.
  if (!queue_.empty() && !busy_)
    wake_runner();
  return ticket.settled();
}

bool Lane::given_up() {
  MutexLock lock(mutex_);
  return given_up_;
}

void Lane::give_up() {
  MutexLock lock(mutex_);
  given_up_ = true;
  for (Ticket* const waiting : helpers_) waiting->poke();
}

bool Lane::drain_until(TimePoint deadline) {
  MutexLock lock(mutex_);
  while (busy_ || !queue_.empty()) {
    if (!idle_.wait_until(mutex_, deadline))
      return !busy_ && queue_.empty();
  }
  return true;
}

}  // namespace farandole

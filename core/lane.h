#pragma once
// Lane: runs the work of one communicator, one piece at a time and in order. Usually on the lane's
// own thread; a caller that waits for a ticket lends its thread, which saves the hand-off that
// costs more than a small collective does.

#include <deque>
#include <functional>
#include <list>
#include <string>
#include <thread>

#include "core/base/log_label.h"
#include "core/base/mutex.h"
#include "core/ticket.h"

namespace farandole {

// Thread: any.
class Lane {
 public:
  // Must not throw: what peers run at the same time cannot be left out. Where it does all the same,
  // the process ends.
  using Work = std::function<void()>;

  explicit Lane(std::string thread_name);
  // Runs what was posted before, then joins. Requires: nobody is in help_until.
  ~Lane();

  // Its thread, which otherwise starts with the first work. Fails: throws Refusal.
  void start();
  // Fails: throws Refusal, and the work is left out.
  void post(Work work);
  // Whether there has been any work.
  bool used();
  // Waits for the ticket and runs work of the lane meanwhile. False once `deadline` has passed, or
  // give_up() was called, with the ticket unsettled; a piece of work that runs then is finished
  // first.
  bool help_until(Ticket& ticket, TimePoint deadline);
  // Waits until no work is queued or running; false at the deadline.
  bool drain_until(TimePoint deadline);
  // Nobody who waits in help_until, now or later, waits for what may never end; but for who runs
  // it.
  void give_up();

 private:
  void start_locked() FARANDOLE_REQUIRES(mutex_);
  void run();
  // Runs the first piece; returns without doing so when there is none or another thread runs one.
  bool run_one() noexcept FARANDOLE_EXCLUDES(mutex_);
  bool given_up();
  // Wakes one thread for the queue's head: a helper before the lane's own thread.
  void wake_runner() FARANDOLE_REQUIRES(mutex_);

  const std::string thread_name_;
  const LogLabel label_;
  Mutex mutex_;
  CondVar wake_;
  CondVar idle_;
  std::deque<Work> queue_ FARANDOLE_GUARDED_BY(mutex_);
  std::list<Ticket*> helpers_ FARANDOLE_GUARDED_BY(mutex_);
  bool busy_ FARANDOLE_GUARDED_BY(mutex_) = false;
  bool stopping_ FARANDOLE_GUARDED_BY(mutex_) = false;
  bool given_up_ FARANDOLE_GUARDED_BY(mutex_) = false;
  bool used_ FARANDOLE_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // started under the mutex, joined by the destructor
};

}  // namespace farandole

#pragma once
// IoThread: the one thread on which sockets and the objects behind them live. It is an EventLoop,
// so that an engine can share it and spare a hand-off per message.

#include <functional>
#include <memory>

#include "core/base/clock.h"
#include "core/base/fork_guard.h"
#include "core/base/patience.h"
#include "core/event_loop.h"

namespace farandole::net {

class IoThread final : public EventLoop {
 public:
  // Fails: throws Refusal, for want of descriptors or of a thread.
  explicit IoThread(const char* thread_name);
  // Runs what was posted before, then joins. Where a task takes longer than patience::kLoop, thread
  // and sockets stay until the process ends. Not from the loop itself. In a forked child: nothing.
  ~IoThread() override;
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  void post(std::function<void()> task) override;
  bool on_loop_thread() const noexcept override;
  // From now on the loop blocks in the kernel only once there has been nothing to do for so long;
  // none at first. Thread: any.
  void linger(Duration span) noexcept;
  // Posts, and waits until the task has run. False at the deadline: a task that has not begun by
  // then never does, and is destroyed on the loop; one that has begun goes on, so that a task that
  // may block must own what it uses. Not from the loop itself.
  bool run_and_wait(
      std::function<void()> task, TimePoint deadline = steady_now() + patience::kLoop);

  struct Impl;
  Impl& impl() noexcept { return *impl_; }

 private:
  ForkGuard fork_;
  std::unique_ptr<Impl> impl_;
};

// One moment in the future on a loop. Thread: the loop's.
class LoopTimer {
 public:
  explicit LoopTimer(IoThread& io);
  ~LoopTimer();
  // Calls once at `when`; replaces what was set before.
  void set(TimePoint when, std::function<void()> task);
  void cancel();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace farandole::net

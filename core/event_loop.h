#pragma once
// EventLoop: a seam for "run this on that one thread, in order". The engine and the protocol
// objects live on one; whether they share it is the composition root's choice.

#include <deque>
#include <functional>
#include <memory>

#include "core/base/bounded_thread.h"
#include "core/base/mutex.h"

namespace farandole {

class EventLoop {
 public:
  virtual ~EventLoop() = default;
  // Runs `task` on the loop's thread after all tasks posted before. Thread: any. Never blocks.
  // After the loop has stopped the task is destroyed without being run.
  virtual void post(std::function<void()> task) = 0;
  virtual bool on_loop_thread() const noexcept = 0;
};

// A loop with a thread of its own that blocks on a condition variable while it has nothing to do.
class ThreadLoop final : public EventLoop {
 public:
  // Fails: throws Refusal.
  explicit ThreadLoop(const char* thread_name);
  // Runs what was posted before, then joins. Where a task takes longer than patience::kLoop, thread
  // and queue stay until the process ends. Must not be called from the loop itself.
  ~ThreadLoop() override;
  void post(std::function<void()> task) override;
  bool on_loop_thread() const noexcept override;

 private:
  struct State {
    void run();

    Mutex mutex;
    CondVar wake;
    std::deque<std::function<void()>> tasks FARANDOLE_GUARDED_BY(mutex);
    bool stopping FARANDOLE_GUARDED_BY(mutex) = false;
  };

  const std::shared_ptr<State> state_;  // the thread's, too
  BoundedThread thread_;
};

}  // namespace farandole

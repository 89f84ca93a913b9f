#include "core/event_loop.h"

#include <utility>

#include "core/base/log.h"
#include "core/base/log_label.h"
#include "core/base/patience.h"

namespace farandole {

ThreadLoop::ThreadLoop(const char* thread_name)
    : state_(std::make_shared<State>()),
      thread_(thread_name, [state = state_, label = log_label()] {
        const LogScope scope(label);
        state->run();
      }) {}

ThreadLoop::~ThreadLoop() {
  {
    MutexLock lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_one();
  if (thread_.join_until(steady_now() + patience::kLoop))
    return;
  FARANDOLE_LOG(Error, "a loop did not end: a task blocks its thread, which stays");
  thread_.abandon();
}

void ThreadLoop::post(std::function<void()> task) {
  {
    MutexLock lock(state_->mutex);
    if (state_->stopping)
      return;
    state_->tasks.push_back(std::move(task));
  }
  state_->wake.notify_one();
}

bool ThreadLoop::on_loop_thread() const noexcept {
  return std::this_thread::get_id() == thread_.id();
}

void ThreadLoop::State::run() {
  for (;;) {
    std::deque<std::function<void()>> batch;
    {
      MutexLock lock(mutex);
      while (tasks.empty() && !stopping) wake.wait(mutex);
      if (tasks.empty())
        return;
      batch.swap(tasks);
    }
    for (std::function<void()>& task : batch) task();
  }
}

}  // namespace farandole

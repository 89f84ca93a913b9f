#include "core/event_loop.h"

#include <pthread.h>

#include <utility>

namespace farandole {

ThreadLoop::ThreadLoop(const char* thread_name) : thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), thread_name);
}

ThreadLoop::~ThreadLoop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void ThreadLoop::post(std::function<void()> task) {
  {
    MutexLock lock(mutex_);
    if (stopping_)
      return;
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

bool ThreadLoop::on_loop_thread() const noexcept {
  return std::this_thread::get_id() == thread_.get_id();
}

void ThreadLoop::run() {
  for (;;) {
    std::deque<std::function<void()>> batch;
    {
      MutexLock lock(mutex_);
      while (tasks_.empty() && !stopping_) wake_.wait(mutex_);
      if (tasks_.empty())
        return;
      batch.swap(tasks_);
    }
    for (std::function<void()>& task : batch) task();
  }
}

}  // namespace farandole

#pragma once
// ThreadCluster: N threads, one per rank, that run the same function again and again.

#include <functional>
#include <thread>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"

namespace farandole::testing {

// Thread: one thread calls run() and destroys.
class ThreadCluster {
 public:
  using Body = std::function<Status(int rank)>;

  explicit ThreadCluster(int size) : statuses_(static_cast<size_t>(size)) {
    for (int rank = 0; rank < size; ++rank) threads_.emplace_back([this, rank] { serve(rank); });
  }

  ~ThreadCluster() {
    {
      const MutexLock lock(mutex_);
      stopping_ = true;
      wake_.notify_all();
    }
    for (std::thread& thread : threads_) thread.join();
  }

  ThreadCluster(const ThreadCluster&) = delete;
  ThreadCluster& operator=(const ThreadCluster&) = delete;

  int size() const noexcept { return static_cast<int>(threads_.size()); }

  // Runs `body` on every rank at once, waits for all, gives each rank's status. Thread-safe use of
  // what the body captures is the caller's business. A body that hangs is ended by the test's own
  // deadline.
  std::vector<Status> run(Body body) {
    const MutexLock lock(mutex_);
    body_ = std::move(body);
    left_ = threads_.size();
    ++round_;
    wake_.notify_all();
    while (left_ != 0) done_.wait(mutex_);
    body_ = nullptr;
    return statuses_;
  }

 private:
  void serve(int rank) {
    for (uint64_t next = 1;; ++next) {
      Body body;
      {
        const MutexLock lock(mutex_);
        while (round_ != next && !stopping_) wake_.wait(mutex_);
        if (stopping_)
          return;
        body = body_;
      }
      Status status = body(rank);
      const MutexLock lock(mutex_);
      statuses_[static_cast<size_t>(rank)] = std::move(status);
      if (--left_ == 0)
        done_.notify_all();
    }
  }

  Mutex mutex_;
  CondVar wake_;
  CondVar done_;
  Body body_ FARANDOLE_GUARDED_BY(mutex_);
  uint64_t round_ FARANDOLE_GUARDED_BY(mutex_) = 0;
  size_t left_ FARANDOLE_GUARDED_BY(mutex_) = 0;
  bool stopping_ FARANDOLE_GUARDED_BY(mutex_) = false;
  std::vector<Status> statuses_ FARANDOLE_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace farandole::testing

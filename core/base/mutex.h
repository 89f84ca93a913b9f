#pragma once
// std::mutex with Clang's thread-safety annotations, so that -Wthread-safety proves the locking.

#include <condition_variable>
#include <mutex>

#include "core/base/clock.h"

#if defined(__clang__)
#define FARANDOLE_TSA(x) __attribute__((x))
#else
#define FARANDOLE_TSA(x)
#endif

#define FARANDOLE_GUARDED_BY(x) FARANDOLE_TSA(guarded_by(x))
#define FARANDOLE_REQUIRES(...) FARANDOLE_TSA(requires_capability(__VA_ARGS__))
#define FARANDOLE_EXCLUDES(...) FARANDOLE_TSA(locks_excluded(__VA_ARGS__))

namespace farandole {

class FARANDOLE_TSA(capability("mutex")) Mutex {
 public:
  void lock() FARANDOLE_TSA(acquire_capability()) { mutex_.lock(); }
  void unlock() FARANDOLE_TSA(release_capability()) { mutex_.unlock(); }
  bool try_lock() FARANDOLE_TSA(try_acquire_capability(true)) { return mutex_.try_lock(); }

 private:
  friend class CondVar;
  friend class MutexUnlock;
  std::mutex mutex_;
};

class FARANDOLE_TSA(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) FARANDOLE_TSA(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() FARANDOLE_TSA(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// The reverse, for a part of a MutexLock's scope.
class MutexUnlock {
 public:
  explicit MutexUnlock(Mutex& mutex) FARANDOLE_REQUIRES(mutex) : mutex_(mutex) {
    mutex_.mutex_.unlock();
  }
  ~MutexUnlock() { mutex_.mutex_.lock(); }
  MutexUnlock(const MutexUnlock&) = delete;
  MutexUnlock& operator=(const MutexUnlock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits release the mutex and take it again. Always called in a loop over the condition.
class CondVar {
 public:
  void wait(Mutex& mutex) FARANDOLE_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    cond_.wait(lock);
    lock.release();
  }
  // False once `deadline` has passed.
  bool wait_until(Mutex& mutex, TimePoint deadline) FARANDOLE_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool in_time = cond_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    lock.release();
    return in_time;
  }
  void notify_one() noexcept { cond_.notify_one(); }
  void notify_all() noexcept { cond_.notify_all(); }

 private:
  std::condition_variable cond_;
};

}  // namespace farandole

#pragma once
// How long threads stood ready while the machine ran others. What the project promises in time it
// promises of a machine that is free; on a busy one it may be late by as much as this, and by no
// more. So tests of such promises stay sharp where the machine is idle and fair where it is not.

#include <sys/types.h>

#include <map>

#include "core/base/clock.h"
#include "core/base/mutex.h"

namespace farandole::testing {

// Of all threads of `process` that live, since each began.
Duration scheduling_delay(pid_t process);

// The delay of this process from the construction on: of all threads, and of the machine as a whole
// where it is a virtual one. Thread: any.
class DelayWatch {
 public:
  DelayWatch();
  // For a thread that ends before total() is asked.
  void leave();
  Duration total() const;

 private:
  const std::map<pid_t, Duration> before_;
  const Duration stolen_before_;
  mutable Mutex mutex_;
  Duration left_ FARANDOLE_GUARDED_BY(mutex_){};
};

}  // namespace farandole::testing

#pragma once
// How long a thread stood ready while the machine ran others. What the project promises in time it
// promises of a machine that is free; on a busy one it may be late by what the threads on the way
// had to wait for a core, and by no more. So tests of such promises stay sharp where the machine is
// idle and fair where it is not. Threads that are not on the way excuse nothing.

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/base/clock.h"

namespace farandole::testing {

// The most that is excused, however busy the machine is.
constexpr Duration kMostExcused = std::chrono::seconds(1);

// Of one thread since it began; of a process's first one until it was waited for. Zero where there
// is no such thread.
Duration scheduling_delay(pid_t process, pid_t thread);
// Of the calling thread.
Duration own_scheduling_delay();

// What one thread had to wait from the construction on.
class DelayWatch {
 public:
  DelayWatch();  // the calling thread
  DelayWatch(pid_t process, pid_t thread);
  // Thread: any, while the watched one lives.
  Duration total() const;

 private:
  pid_t process_, thread_;
  Duration before_;
};

// What the host of a virtual machine gave to others from the construction on: of the processor that
// lost the most.
class StolenWatch {
 public:
  StolenWatch();
  Duration total() const;

 private:
  const std::vector<Duration> before_;
};

// A limit that is promised of a free machine. A sanitizer looks for other faults than slowness, and
// is the cause of much.
constexpr Duration promised(Duration limit) {
#ifdef FARANDOLE_SANITIZED
  return 20 * limit;
#else
  return limit;
#endif
}

// What a promise may be late by: delays of threads that wait for each other, one after the other.
Duration excused(Duration of_the_way, const StolenWatch& stolen);

// Empty, or how "after `took` at most `limit` on a free machine" was broken.
std::string complaint(Duration took, Duration limit, Duration excuse);

}  // namespace farandole::testing

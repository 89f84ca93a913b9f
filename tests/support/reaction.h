#pragma once
// Reaction: one thread tells others to end, and each of them must return within a limit that is
// promised of a free machine (scheduling_delay.h says what a busy one excuses).

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "tests/support/scheduling_delay.h"

namespace farandole::testing {

// Thread: any; begin() and told() the same one. On the way of each that returns are the thread that
// tells and itself, so the delays of these two count, each reaction for itself.
class Reaction {
 public:
  explicit Reaction(Duration limit) : limit_(limit) {}

  // By the thread that tells: right before it does, and right after.
  void begin();
  void told();
  // By a thread that was told, first of all. Who returns before begin() was not told.
  void returned();

  // Once all have returned. Empty, or what is wrong: somebody was late, or nobody returned.
  std::string complaint() const;
  Duration slowest() const;

 private:
  struct Return {
    Duration took;
    Duration delay;
  };

  const Duration limit_;
  std::optional<StolenWatch> stolen_;
  std::optional<DelayWatch> teller_;
  mutable Mutex mutex_;
  std::map<pid_t, Duration> before_ FARANDOLE_GUARDED_BY(mutex_);  // delays, by thread
  std::optional<TimePoint> began_ FARANDOLE_GUARDED_BY(mutex_);
  Duration telling_ FARANDOLE_GUARDED_BY(mutex_){};  // what the teller waited for a core
  std::vector<Return> returns_ FARANDOLE_GUARDED_BY(mutex_);
};

}  // namespace farandole::testing

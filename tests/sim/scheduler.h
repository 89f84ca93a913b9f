#pragma once
// Scheduler: virtual time. Events run one after the other, in order of their time.

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "core/base/clock.h"

namespace farandole::sim {

using Task = std::function<void()>;

class Scheduler {
 public:
  static constexpr TimePoint kBegin{std::chrono::seconds(1000)};

  TimePoint now() const noexcept { return now_; }
  void at(TimePoint when, Task task);
  void after(Duration delay, Task task) { at(now_ + delay, std::move(task)); }
  // Runs the next event. False: there is none, or it lies beyond `until`.
  bool step(TimePoint until);
  // Lets go of everything that is still to come.
  void clear() { const auto dropped = std::exchange(heap_, {}); }
  uint64_t events() const noexcept { return ran_; }

 private:
  struct Event {
    TimePoint when;
    uint64_t number = 0;  // events of one time run in the order in which they were made
    Task task;
  };
  static bool later(const Event& a, const Event& b) noexcept {
    return a.when != b.when ? a.when > b.when : a.number > b.number;
  }

  TimePoint now_ = kBegin;
  std::vector<Event> heap_;
  uint64_t made_ = 0;
  uint64_t ran_ = 0;
};

}  // namespace farandole::sim

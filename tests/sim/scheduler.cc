#include "tests/sim/scheduler.h"

#include <algorithm>

namespace farandole::sim {

void Scheduler::at(TimePoint when, Task task) {
  heap_.push_back({std::max(when, now_), made_++, std::move(task)});
  std::push_heap(heap_.begin(), heap_.end(), later);
}

bool Scheduler::step(TimePoint until) {
  if (heap_.empty() || heap_.front().when > until)
    return false;
  std::pop_heap(heap_.begin(), heap_.end(), later);
  Event event = std::move(heap_.back());
  heap_.pop_back();
  now_ = event.when;
  ++ran_;
  event.task();
  return true;
}

}  // namespace farandole::sim

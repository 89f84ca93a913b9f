#pragma once
// Emitter: counts every event of a session and hands it to the session's observers.

#include <memory>
#include <utility>
#include <vector>

#include "core/counters.h"

namespace farandole {

class Emitter {
 public:
  Emitter(Counters& counters, std::vector<std::shared_ptr<Observer>> observers)
      : counters_(counters), observers_(std::move(observers)) {}
  void emit(Event event) const noexcept {
    counters_.on(event);
    if (observers_.empty())
      return;
    // Counting needs no time: the clock is read only where somebody looks at it.
    event.when = steady_now();
    for (const std::shared_ptr<Observer>& observer : observers_) observer->on(event);
  }

 private:
  Counters& counters_;
  const std::vector<std::shared_ptr<Observer>> observers_;
};

}  // namespace farandole

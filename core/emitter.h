#pragma once
// Emitter: hands events to every observer of a session.

#include <memory>
#include <utility>
#include <vector>

#include "core/observer.h"

namespace farandole {

class Emitter {
 public:
  explicit Emitter(std::vector<std::shared_ptr<Observer>> observers)
      : observers_(std::move(observers)) {}
  void emit(Event event) const noexcept {
    if (observers_.empty())
      return;
    event.when = steady_now();
    for (const std::shared_ptr<Observer>& observer : observers_) observer->on(event);
  }

 private:
  const std::vector<std::shared_ptr<Observer>> observers_;
};

}  // namespace farandole

#pragma once
// EventLog: an observer that writes what happens to the log: buckets and what goes wrong at level
// debug, every step of every tensor at level trace.

#include "core/observer.h"

namespace farandole {

// Thread: any.
class EventLog final : public Observer {
 public:
  void on(const Event& event) noexcept override;
};

}  // namespace farandole

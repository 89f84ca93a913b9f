#pragma once
// Liveness: who has not been heard for too long. Used by the coordinator for all ranks and by
// every other rank for the coordinator. Bookkeeping only; lives on the heartbeat thread.

#include <map>
#include <vector>

#include "core/base/clock.h"

namespace farandole::control {

struct Silence {
  int rank = 0;
  Duration length{};  // since its last beat
  bool operator==(const Silence&) const = default;
};

// Requires: tick() is called several times per timeout (at every heartbeat interval). When two
// ticks lie more than half the timeout apart, this process itself was not running (stopped,
// machine paused): then everyone gets a fresh deadline and nobody is accused.
class Liveness {
 public:
  Liveness(Duration timeout, TimePoint now) : timeout_(timeout), ticked_(now) {}

  void watch(int rank, TimePoint now);
  void forget(int rank) { heard_.erase(rank); }
  void on_beat(int rank, TimePoint now);
  // Ranks silent for longer than the timeout, in rank order; each is told once, then forgotten.
  std::vector<Silence> tick(TimePoint now);

  size_t watched() const noexcept { return heard_.size(); }

 private:
  Duration timeout_;
  TimePoint ticked_;
  std::map<int, TimePoint> heard_;
};

}  // namespace farandole::control

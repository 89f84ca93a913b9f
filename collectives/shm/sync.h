#pragma once
// FlagBarrier: how the members of a group keep step. Each has a flag that counts the steps it has
// passed; a step is over for a member once all flags have reached it.
//
// A member that has to wait spins first where each rank has a core of its own, yields where not,
// and then sleeps on its own bell: it writes down whom it waits for, and that one rings after
// raising its flag. Nobody polls, and interrupt() wakes a sleeper by ringing its bell, too.

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "collectives/shm/layout.h"
#include "core/base/clock.h"
#include "core/base/yield_habit.h"

namespace farandole::shm {

// How long to stay awake for a peer.
struct WaitPolicy {
  Duration spin{0};  // spinning; pays where ranks do not share cores
  int yields = 0;    // times to give way after that, at most

  // Spins where `ranks` that are busy at once find `cores` enough, else yields.
  static WaitPolicy choose(double cores, int64_t ranks, Duration spin_time);
};

// Thread: pass() from one thread; interrupt() from any, at any time.
class FlagBarrier {
 public:
  enum class Outcome : uint8_t { Passed, Interrupted, TimedOut };

  // Requires: `lines` outlives this, and no other member uses place `own`. `patience`: how long
  // pass() waits while no flag moves.
  FlagBarrier(std::span<RankLines> lines, uint32_t own, WaitPolicy policy, Duration patience);

  // Ends the current step and waits until all have. What a member wrote before its pass() can be
  // read by the others after theirs.
  Outcome pass();
  // Makes pass() return Interrupted from now on.
  void interrupt() noexcept;
  bool interrupted() const noexcept { return interrupted_.load(std::memory_order_acquire); }

  // Steps passed so far.
  uint64_t step() const noexcept { return step_; }
  // After TimedOut: places of the members that have not come.
  std::vector<uint32_t> missing() const;

 private:
  bool has_arrived(uint32_t member, std::memory_order order) const noexcept;
  void raise_flag();
  bool stay_awake(uint32_t member);
  Outcome sleep(uint32_t member);
  uint64_t flags_sum() const noexcept;

  std::span<RankLines> lines_;
  uint32_t own_;
  WaitPolicy policy_;
  YieldHabit yields_;
  Duration patience_;
  uint64_t step_ = 0;
  std::atomic<bool> interrupted_{false};
};

}  // namespace farandole::shm

#pragma once
// Process: a virtual process: it runs, is stopped or is dead; has a clock of its own and one event
// loop, which takes tasks, sockets and timers in the order in which Asio on epoll does.

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "tests/sim/rng.h"
#include "tests/sim/scheduler.h"

namespace farandole::sim {

class Process {
 public:
  enum class State : uint8_t { Running, Stopped, Dead };

  Process(Scheduler& scheduler, uint64_t seed, Duration slowness)
      : scheduler_(scheduler), random_(seed), slowness_(slowness) {}
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  State state() const noexcept { return state_; }
  bool running() const noexcept { return state_ == State::Running; }
  bool dead() const noexcept { return state_ == State::Dead; }
  // CLOCK_MONOTONIC as this process reads it.
  TimePoint now() const noexcept { return scheduler_.now() + ahead_; }

  TimePoint true_now() const noexcept { return scheduler_.now(); }

  // A task of the loop.
  void post(Task task);
  // A socket has something for the loop.
  void ready(Task task);
  // On the loop at `when` of the own clock. Gives a number for cancel().
  uint64_t set_timer(TimePoint when, Task task);
  void cancel_timer(uint64_t timer);
  bool on_loop() const noexcept { return on_loop_; }
  // Runs at once, as the loop.
  void as_loop(const Task& task);
  // Another thread of the process does this after `delay`; while stopped, it waits.
  void later(Duration delay, Task task);

  // Everything that others can see counts as an action: after `actions` more of them it dies in
  // the middle of what it does. False: it is dead, and nothing must become visible.
  void doom(uint64_t actions, Task death);
  bool act();
  // The next action is the one that it does not survive.
  bool about_to_die() const noexcept { return actions_left_ == 1; }

  // A connection of this process takes part in injections of frames that are not for it. False: it
  // is gone, or has heard nothing yet.
  using Injection = std::function<bool(uint64_t how)>;
  void add_injection(Injection injection) { injections_.push_back(std::move(injection)); }
  void inject_stale(uint64_t how);

  // Bytes that wait to be sent on one of its connections; and the most since it was asked last.
  void note_queued(size_t bytes) noexcept { most_queued_ = std::max(most_queued_, bytes); }
  size_t take_most_queued() noexcept { return std::exchange(most_queued_, 0); }

  void stop() noexcept;
  void resume();
  void kill() noexcept { state_ = State::Dead; }
  void jump(Duration ahead);
  void slow_down(Duration slowness) noexcept { slowness_ = slowness; }
  uint64_t stops() const noexcept { return stops_; }  // that are over
  // Dead for good: lets go of all that waits. What is destroyed thereby may still call.
  void dismantle();

 private:
  void wake();
  void step();
  void poll();
  void await_timer();

  Scheduler& scheduler_;
  Rng random_;
  Duration slowness_;
  State state_ = State::Running;
  Duration ahead_{};
  std::deque<Task> tasks_;
  size_t batch_ = 0;         // tasks to run before sockets and timers are looked at again
  std::vector<Task> ready_;  // of sockets
  std::map<std::pair<TimePoint, uint64_t>, Task> timers_;
  std::map<uint64_t, TimePoint> timer_times_;
  uint64_t last_timer_ = 0;
  std::optional<TimePoint> awaited_;  // an event for timers is scheduled then
  std::vector<Task> waiting_;         // what other threads would have done while stopped
  bool awake_ = false;                // a step is scheduled
  bool on_loop_ = false;
  uint64_t actions_left_ = 0;
  Task death_;
  uint64_t stops_ = 0;
  size_t most_queued_ = 0;
  std::vector<Injection> injections_;
};

}  // namespace farandole::sim

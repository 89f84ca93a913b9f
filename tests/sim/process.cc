#include "tests/sim/process.h"

#include <algorithm>
#include <utility>

namespace farandole::sim {

void Process::post(Task task) {
  if (dead())
    return;
  tasks_.push_back(std::move(task));
  wake();
}

void Process::ready(Task task) {
  if (dead())
    return;
  ready_.push_back(std::move(task));
  wake();
}

uint64_t Process::set_timer(TimePoint when, Task task) {
  const uint64_t timer = ++last_timer_;
  timers_.emplace(std::pair(when, timer), std::move(task));
  timer_times_[timer] = when;
  await_timer();
  return timer;
}

void Process::cancel_timer(uint64_t timer) {
  const auto found = timer_times_.find(timer);
  if (found == timer_times_.end())
    return;
  timers_.erase({found->second, timer});
  timer_times_.erase(found);
}

void Process::as_loop(const Task& task) {
  const bool was = std::exchange(on_loop_, true);
  task();
  on_loop_ = was;
}

void Process::later(Duration delay, Task task) {
  scheduler_.after(delay, [this, task = std::move(task)]() mutable {
    if (running())
      task();
    else if (state_ == State::Stopped)
      waiting_.push_back(std::move(task));
  });
}

void Process::doom(uint64_t actions, Task death) {
  actions_left_ = actions + 1;
  death_ = std::move(death);
}

bool Process::act() {
  if (actions_left_ > 0 && --actions_left_ == 0)
    std::exchange(death_, nullptr)();
  return !dead();
}

void Process::inject_stale(uint64_t how) {
  post([this, how] {
    for (size_t i = 0; i < injections_.size(); ++i)
      if (injections_[(how + i) % injections_.size()](how))
        return;
  });
}

void Process::stop() noexcept {
  if (!running())
    return;
  state_ = State::Stopped;
}

void Process::resume() {
  if (state_ != State::Stopped)
    return;
  state_ = State::Running;
  ++stops_;
  for (Task& task : std::exchange(waiting_, {}))
    later(random_.between(Duration(0), slowness_), std::move(task));
  wake();
}

void Process::jump(Duration ahead) {
  ahead_ += ahead;
  wake();
}

void Process::dismantle() {
  kill();
  const auto tasks = std::exchange(tasks_, {});
  const auto ready = std::exchange(ready_, {});
  const auto timers = std::exchange(timers_, {});
  const auto waiting = std::exchange(waiting_, {});
  death_ = nullptr;
  injections_.clear();
}

void Process::wake() {
  if (awake_ || !running())
    return;
  awake_ = true;
  scheduler_.after(random_.between(Duration(0), slowness_), [this] {
    awake_ = false;
    if (running())
      step();
  });
}

void Process::await_timer() {
  if (timers_.empty())
    return;
  const TimePoint when = std::max(timers_.begin()->first.first - ahead_, scheduler_.now());
  if (awaited_ && *awaited_ <= when)
    return;
  awaited_ = when;
  scheduler_.at(when, [this, when] {
    if (awaited_ == when)
      awaited_.reset();
    wake();
  });
}

// Sockets come before timers, and both before what was posted later.
void Process::poll() {
  random_.shuffle(ready_);
  for (Task& task : std::exchange(ready_, {})) tasks_.push_back(std::move(task));
  while (!timers_.empty() && timers_.begin()->first.first <= now()) {
    auto due = timers_.extract(timers_.begin());
    const uint64_t timer = due.key().second;
    // Still to be cancelled by whatever runs before it.
    tasks_.push_back([this, timer, task = std::move(due.mapped())] {
      if (timer_times_.erase(timer) > 0)
        task();
    });
  }
  batch_ = tasks_.size();
}

void Process::step() {
  if (batch_ == 0)
    poll();
  if (batch_ > 0) {
    --batch_;
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    as_loop(task);
  }
  if (!tasks_.empty() || !ready_.empty())
    wake();
  else
    await_timer();
}

}  // namespace farandole::sim

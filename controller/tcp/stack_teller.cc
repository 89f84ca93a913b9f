#include "controller/tcp/stack_teller.h"

#include <exception>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/log.h"
#include "core/base/mutex.h"
#include "core/base/refusal.h"

namespace farandole::control {

// Of the loop, but for `stacks` and what the mutex guards.
struct StackTeller::State {
  Stacks stacks;
  Answer answer;
  std::optional<net::LoopTimer> timer;
  uint64_t number = 0;  // the question that waits for its answer; 0: none
  bool busy = false;    // the thread has not come back with the last one
  bool stopped = false;

  Mutex mutex;
  CondVar wake;
  uint64_t asked FARANDOLE_GUARDED_BY(mutex) = 0;  // for the thread to take; 0: none
  bool ends FARANDOLE_GUARDED_BY(mutex) = false;

  void tell(uint64_t of, std::string text) {
    if (stopped || number != of)
      return;
    number = 0;
    timer->cancel();
    answer(of, std::move(text));
  }
  void hand_over(uint64_t of) {
    busy = true;
    MutexLock lock(mutex);
    asked = of;
    wake.notify_one();
  }
  // Thread: its own. 0: it is to end.
  uint64_t next() {
    MutexLock lock(mutex);
    while (asked == 0 && !ends) wake.wait(mutex);
    return ends ? 0 : std::exchange(asked, 0);
  }
};

namespace {

std::string asked(const StackTeller::Stacks& stacks) {
  try {
    return stacks();
  } catch (const std::exception& defect) {
    return fmt::format("its stacks could not be had: {}", defect.what());
  }
}

std::string too_late() {
  return fmt::format(
      "its program did not say where it is within {:g} s: one of its threads may be keeping the "
      "interpreter to itself",
      std::chrono::duration<double>(StackTeller::kPatience).count());
}

}  // namespace

StackTeller::StackTeller(std::shared_ptr<net::IoThread> io, Stacks stacks, Answer answer)
    : io_(std::move(io)), state_(std::make_shared<State>()) {
  state_->stacks = std::move(stacks);
  state_->answer = std::move(answer);
}

void StackTeller::ask(uint64_t number) {
  FARANDOLE_FAILPOINT("stack_teller.ask");
  State& state = *state_;
  if (state.stopped)
    return;
  if (!state.timer)
    state.timer.emplace(*io_);
  state.number = number;
  if (!state.stacks)
    return state.tell(number, "its program does not say where it is (fdl_options.stacks)");
  if (state.busy)
    return state.tell(number, too_late());
  state.timer->set(
      steady_now() + kPatience, [held = state_, number] { held->tell(number, too_late()); });
  try {
    if (!thread_)
      start_thread();
    state.hand_over(number);
  } catch (const Refusal& refused) {
    state.tell(number, refused.status().message());
  }
}

void StackTeller::start_thread() {
  thread_.emplace("fdl-stacks", [io = io_, held = state_, label = log_label()] {
    const LogScope scope(label);
    while (const uint64_t number = held->next()) {
      std::string text = asked(held->stacks);
      io->post([held, number, text = std::move(text)]() mutable {
        held->busy = false;
        held->tell(number, std::move(text));
      });
    }
  });
}

void StackTeller::close() {
  state_->stopped = true;
  state_->timer.reset();
  MutexLock lock(state_->mutex);
  state_->ends = true;
  state_->wake.notify_one();
}

bool StackTeller::stop(TimePoint deadline) {
  if (!thread_ || thread_->join_until(deadline)) {
    thread_.reset();
    return true;
  }
  thread_->abandon();
  thread_.reset();
  return false;
}

}  // namespace farandole::control

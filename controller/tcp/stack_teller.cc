#include "controller/tcp/stack_teller.h"

#include <exception>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/log.h"
#include "core/base/patience.h"
#include "core/base/refusal.h"

namespace farandole::control {

// Of the loop, but for `stacks`.
struct StackTeller::State {
  Stacks stacks;
  Answer answer;
  std::optional<net::LoopTimer> timer;
  uint64_t number = 0;   // the question that waits for its answer; 0: none
  bool running = false;  // the thread has not come back
  bool stopped = false;

  void tell(uint64_t of, std::string text) {
    if (stopped || number != of)
      return;
    number = 0;
    timer->cancel();
    answer(of, std::move(text));
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
  if (state.running)
    return state.tell(number, too_late());
  state.timer->set(
      steady_now() + kPatience, [held = state_, number] { held->tell(number, too_late()); });
  try {
    begin(number);
  } catch (const Refusal& refused) {
    state.tell(number, refused.status().message());
  }
}

// Requires: the last one has come back.
void StackTeller::begin(uint64_t number) {
  static_cast<void>(stop(steady_now() + patience::kLoop));
  state_->running = true;
  try {
    thread_.emplace("fdl-stacks", [io = io_, held = state_, number, label = log_label()] {
      const LogScope scope(label);
      std::string text = asked(held->stacks);
      io->post([held, number, text = std::move(text)]() mutable {
        held->running = false;
        held->tell(number, std::move(text));
      });
    });
  } catch (...) {
    state_->running = false;
    throw;
  }
}

void StackTeller::close() {
  state_->stopped = true;
  state_->timer.reset();
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

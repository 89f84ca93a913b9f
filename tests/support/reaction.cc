#include "tests/support/reaction.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace farandole::testing {
namespace {

std::map<pid_t, Duration> delays_of_all() {
  std::map<pid_t, Duration> delays;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    const pid_t thread = std::stoi(task.path().filename());
    delays[thread] = scheduling_delay(getpid(), thread);
  }
  return delays;
}

}  // namespace

void Reaction::begin() {
  stolen_.emplace();
  MutexLock lock(mutex_);
  before_ = delays_of_all();
  teller_.emplace();
  began_ = steady_now();
}

void Reaction::told() {
  const Duration telling = teller_->total();
  MutexLock lock(mutex_);
  telling_ = telling;
}

void Reaction::returned() {
  const TimePoint now = steady_now();
  const Duration delay = own_scheduling_delay();
  MutexLock lock(mutex_);
  if (!began_ || now < *began_)
    return;
  const auto before = before_.find(gettid());
  returns_.push_back(
      {now - *began_, delay - (before == before_.end() ? Duration::zero() : before->second)});
}

std::string Reaction::complaint() const {
  MutexLock lock(mutex_);
  if (returns_.empty())
    return "nobody returned";
  for (const Return& one : returns_) {
    const Duration excuse = excused(telling_ + one.delay, *stolen_);
    if (std::string late = testing::complaint(one.took, limit_, excuse); !late.empty())
      return late;
  }
  return {};
}

Duration Reaction::slowest() const {
  MutexLock lock(mutex_);
  Duration slowest{};
  for (const Return& one : returns_) slowest = std::max(slowest, one.took);
  return slowest;
}

}  // namespace farandole::testing

#include "tests/contract/barrier_check.h"

#include <atomic>

#include "core/base/format.h"
#include "core/base/mutex.h"

namespace farandole::testing {
namespace {

using namespace std::chrono_literals;

class Rounds {
 public:
  explicit Rounds(int size) : others_(size - 1) {}

  int late_in(int round) const noexcept { return round % (others_ + 1); }
  void enter() {
    const MutexLock lock(mutex_);
    ++entered_;
    changed_.notify_all();
  }
  // Waits, as the late rank, for the others.
  Status come(int round) {
    const TimePoint deadline = steady_now() + 20s;
    const MutexLock lock(mutex_);
    while (!ended_ && entered_ < int64_t{others_} * (round + 1)) {
      if (!changed_.wait_until(mutex_, deadline))
        return error(Code::Timeout, "round {}: the others do not come", round);
    }
    came_ = round + 1;
    return Status::ok();
  }
  // A rank comes no more.
  void end() {
    const MutexLock lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }
  bool all_came(int round) const noexcept { return came_ > round; }

 private:
  const int others_;
  Mutex mutex_;
  CondVar changed_;
  int64_t entered_ FARANDOLE_GUARDED_BY(mutex_) = 0;
  bool ended_ FARANDOLE_GUARDED_BY(mutex_) = false;
  std::atomic<int> came_{0};
};

Status pass(Communicator& communicator, Rounds& rounds, int round, int rank) {
  const bool late = rank == rounds.late_in(round);
  if (late)
    FARANDOLE_RETURN_IF_ERROR(rounds.come(round));
  else
    rounds.enter();
  FARANDOLE_RETURN_IF_ERROR(communicator.run(CollectiveOp{CollectiveKind::Barrier}, 0));
  if (rounds.all_came(round))
    return Status::ok();
  return error(
      Code::Internal, "left the barrier of round {} before {} came", round, rounds.late_in(round));
}

}  // namespace

std::optional<std::string> left_early(Group& group, int rounds) {
  Rounds counted(group.size());
  const Status status = group.run([&](int rank) {
    Status status;
    for (int round = 0; round < rounds && status.is_ok(); ++round)
      status = pass(group.at(rank), counted, round, rank);
    counted.end();
    return status;
  });
  return status.is_ok() ? std::nullopt : std::optional(status.message());
}

}  // namespace farandole::testing

#include "collectives/shm/shm_communicator.h"

#include <chrono>
#include <utility>

#include "collectives/cpu/check_op.h"
#include "collectives/cpu/copy.h"
#include "core/base/format.h"

namespace farandole::shm {

ShmCommunicator::ShmCommunicator(SharedSegment segment, ShmOptions options)
    : segment_(std::move(segment)),
      options_(std::move(options)),
      barrier_(segment_.lines(), options_.index, options_.wait, options_.data_timeout),
      sources_(segment_.geometry().members) {}

Status ShmCommunicator::run(const CollectiveOp& op, StreamHandle) {
  if (barrier_.interrupted())
    return failure();
  FARANDOLE_RETURN_IF_ERROR(cpu::check_op(op, size()));
  return dispatch(op);
}

Status ShmCommunicator::dispatch(const CollectiveOp& op) {
  switch (op.kind) {
    case CollectiveKind::Allreduce:
      return op.reduce == ReduceOp::Adasum ? adasum(op) : allreduce(op);
    case CollectiveKind::Allgather:
      return allgather(op);
    case CollectiveKind::Broadcast:
      return broadcast(op);
    case CollectiveKind::Reducescatter:
      return reducescatter(op);
    case CollectiveKind::Alltoall:
      return alltoall(op);
    case CollectiveKind::Barrier:
      return barrier(op);
    case CollectiveKind::Reduce:
      return reduce(op);
    case CollectiveKind::Gather:
      return gather(op);
    case CollectiveKind::Scatter:
      return scatter(op);
    case CollectiveKind::Message:
    case CollectiveKind::Join:
    case CollectiveKind::AddProcessSet:
    case CollectiveKind::RemoveProcessSet:
      break;
  }
  return error(Code::Internal, "unknown kind of collective {}", static_cast<int>(op.kind));
}

Status ShmCommunicator::adasum(const CollectiveOp& op) {
  const cpu::AdasumGroup group{
      size(),
      options_.index,
      [this](const CollectiveOp& step) { return dispatch(step); },
      [this] { return barrier_.interrupted() ? failure() : Status::ok(); }};
  try {
    return adasum_.allreduce(op, group);
  } catch (const cpu::NoStaging& none) {
    abort(none.about(op));
  }
  return failure();
}

void ShmCommunicator::abort(Status why) noexcept {
  {
    const MutexLock lock(mutex_);
    if (failure_)
      failure_ = std::move(why);
  }
  barrier_.interrupt();
}

Status ShmCommunicator::failure() {
  const MutexLock lock(mutex_);
  return failure_;
}

Status ShmCommunicator::next_step(const CollectiveOp& op) {
  cpu::finish_stores();
  switch (barrier_.pass()) {
    case FlagBarrier::Outcome::Passed:
      return Status::ok();
    case FlagBarrier::Outcome::Interrupted:
      return failure();
    case FlagBarrier::Outcome::TimedOut:
      return timed_out(op);
  }
  return Status::ok();
}

Status ShmCommunicator::timed_out(const CollectiveOp& op) {
  std::string absent;
  int first = -1;
  for (const uint32_t place : barrier_.missing()) {
    const Member& member = options_.members[place];
    absent += fmt::format("{}rank {}", absent.empty() ? "" : ", ", member.rank);
    first = first < 0 ? member.rank : first;
  }
  const double seconds = std::chrono::duration<double>(options_.data_timeout).count();
  abort(error(
            Code::Timeout,
            "{} \"{}\" through shared memory: nothing has moved for {:g} s "
            "(FARANDOLE_DATA_TIMEOUT), waiting for {} on host {}",
            name_of(op.kind),
            printable(op.name),
            seconds,
            absent,
            printable(options_.members[options_.index].host))
            .blame(first));
  return failure();
}

Status ShmCommunicator::barrier(const CollectiveOp& op) {
  return next_step(op);
}

cpu::StorePolicy ShmCommunicator::policy() const noexcept {
  const uint32_t word = segment_.header().store_policy.load(std::memory_order_relaxed);
  return (word & 1) != 0 ? cpu::StorePolicy::NonTemporal : cpu::StorePolicy::Plain;
}

}  // namespace farandole::shm

#include "collectives/single/single_communicator.h"

#include <cstring>

#include "collectives/cpu/check_op.h"
#include "collectives/cpu/reduce.h"

namespace farandole::single {
namespace {

void copy(const void* in, void* out, size_t bytes) {
  if (bytes != 0 && in != out)
    std::memcpy(out, in, bytes);
}

size_t elements(const CollectiveOp& op, const Segment& segment) {
  return op.counts.empty() ? segment.count : op.counts[0];
}

}  // namespace

Status SingleCommunicator::run(const CollectiveOp& op, StreamHandle) {
  FARANDOLE_RETURN_IF_ERROR(failure());
  FARANDOLE_RETURN_IF_ERROR(cpu::check_op(op, 1));
  const cpu::ReduceSpec spec = cpu::reduce_spec(op, 1);
  const bool plain = !reduces(op.kind) || cpu::is_identity(spec);
  for (const Segment& segment : op.segments) {
    const size_t count = elements(op, segment);
    if (plain)
      copy(segment.in, segment.out, count * size_of(op.dtype));
    else if (count != 0)
      cpu::reduce(spec, segment.out, {&segment.in, 1}, count);
  }
  return Status::ok();
}

void SingleCommunicator::abort(Status why) noexcept {
  const MutexLock lock(mutex_);
  if (failure_)
    failure_ = std::move(why);
}

Status SingleCommunicator::failure() {
  const MutexLock lock(mutex_);
  return failure_;
}

}  // namespace farandole::single

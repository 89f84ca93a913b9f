#include "collectives/hierarchical/hierarchical_communicator.h"

#include <algorithm>
#include <new>
#include <numeric>
#include <utility>

#include "collectives/cpu/check_op.h"
#include "collectives/cpu/convert.h"
#include "core/base/format.h"

namespace farandole::hierarchical {

namespace {

// Whether what a host's members come to is where other hosts can go on.
bool is_spread(const CollectiveOp& op) {
  return is_elementwise(op.reduce) && !(op.reduce == ReduceOp::Average && is_integer(op.dtype));
}

}  // namespace

HierarchicalCommunicator::Arithmetic::Arithmetic(const CollectiveOp& op, size_t members)
    : widened(is_half(op.dtype)),
      dtype(widened ? DType::Float32 : op.dtype),
      pairwise(op.reduce == ReduceOp::Average ? ReduceOp::Sum : op.reduce),
      prescale(op.prescale),
      last{
          dtype,
          op.reduce == ReduceOp::Average ? ReduceOp::Average : ReduceOp::Sum,
          1.0,
          op.postscale,
          cpu::reduce_spec(op, members).members} {}

HierarchicalCommunicator::HierarchicalCommunicator(Parts parts, size_t members)
    : parts_(std::move(parts)), members_(members) {}

Status HierarchicalCommunicator::run(const CollectiveOp& op, StreamHandle) {
  FARANDOLE_RETURN_IF_ERROR(failure());
  FARANDOLE_RETURN_IF_ERROR(cpu::check_op(op, members_));
  Status ended;
  try {
    ended = dispatch(op);
  } catch (const cpu::NoStaging& none) {
    ended = none.about(op);
  } catch (const std::bad_alloc&) {
    ended = error(Code::System, "{} \"{}\": out of memory", name_of(op.kind), printable(op.name));
  }
  if (ended.is_ok())
    return ended;
  fail(ended);
  return failure();
}

void HierarchicalCommunicator::abort(Status why) noexcept {
  fail(why);
}

void HierarchicalCommunicator::fail(const Status& why) noexcept {
  {
    const MutexLock lock(mutex_);
    if (!failure_.is_ok())
      return;
    failure_ = why;
  }
  parts_.local->abort(why);
  if (parts_.across)
    parts_.across->abort(why);
  parts_.flat->abort(why);
}

Status HierarchicalCommunicator::failure() {
  const MutexLock lock(mutex_);
  return failure_;
}

Status HierarchicalCommunicator::dispatch(const CollectiveOp& op) {
  if (reduces(op.kind) && !is_spread(op))
    return parts_.flat->run(op, 0);
  switch (op.kind) {
    case CollectiveKind::Allreduce:
      for (const Segment& segment : op.segments)
        if (segment.count > 0)
          FARANDOLE_RETURN_IF_ERROR(
              is_half(op.dtype) ? allreduce_widened(op, segment) : allreduce(op, segment));
      return Status::ok();
    case CollectiveKind::Broadcast:
      for (const Segment& segment : op.segments)
        if (segment.count > 0)
          FARANDOLE_RETURN_IF_ERROR(broadcast(op, segment));
      return Status::ok();
    case CollectiveKind::Reducescatter:
      return reducescatter(op);
    case CollectiveKind::Barrier:
      return barrier(op);
    case CollectiveKind::Reduce:
      for (const Segment& segment : op.segments) FARANDOLE_RETURN_IF_ERROR(reduce(op, segment));
      return Status::ok();
    case CollectiveKind::Allgather:
    case CollectiveKind::Alltoall:
    case CollectiveKind::Gather:
    case CollectiveKind::Scatter:
    case CollectiveKind::Message:
    case CollectiveKind::Join:
    case CollectiveKind::AddProcessSet:
    case CollectiveKind::RemoveProcessSet:
      break;
  }
  return parts_.flat->run(op, 0);
}

Status HierarchicalCommunicator::allreduce(const CollectiveOp& op, const Segment& segment) {
  const std::vector<size_t> parts = parts_.layout.parts(segment.count);
  const size_t before =
      std::accumulate(parts.begin(), parts.begin() + parts_.layout.local, size_t{0});
  void* own = static_cast<uint8_t*>(segment.out) + before * size_of(op.dtype);
  FARANDOLE_RETURN_IF_ERROR(reduce_own_part(op, Arithmetic(op, members_), segment.in, own, parts));
  return gather_locally(op, segment.out, op.dtype, segment.count);
}

// In rounds, for the sake of the staging memory.
Status HierarchicalCommunicator::allreduce_widened(const CollectiveOp& op, const Segment& segment) {
  const Arithmetic how(op, members_);
  const size_t element = size_of(op.dtype);
  const size_t most = std::max<size_t>(1, parts_.staging_bytes / sizeof(float));
  for (size_t done = 0; done < segment.count;) {
    const size_t count = std::min(most, segment.count - done);
    auto* wide = reinterpret_cast<float*>(staging_.take(count * sizeof(float)));
    cpu::widen(op.dtype, static_cast<const uint8_t*>(segment.in) + done * element, wide, count);
    const std::vector<size_t> parts = parts_.layout.parts(count);
    const size_t own = parts_.layout.local;
    const size_t before = std::accumulate(parts.begin(), parts.begin() + own, size_t{0});
    FARANDOLE_RETURN_IF_ERROR(reduce_own_part(op, how, wide, wide + before, parts));
    uint8_t* out = static_cast<uint8_t*>(segment.out) + done * element;
    cpu::narrow(op.dtype, wide + before, out + before * element, parts[own]);
    FARANDOLE_RETURN_IF_ERROR(gather_locally(op, out, op.dtype, count));
    done += count;
  }
  return Status::ok();
}

Status HierarchicalCommunicator::reduce_own_part(
    const CollectiveOp& op,
    const Arithmetic& how,
    const void* in,
    void* own,
    std::span<const size_t> parts,
    std::optional<size_t> root_host) {
  CollectiveOp step = op;
  step.kind = CollectiveKind::Reducescatter;
  step.dtype = how.dtype;
  step.reduce = how.pairwise;
  step.prescale = how.prescale;
  step.postscale = 1.0;
  const size_t count = parts[parts_.layout.local];
  FARANDOLE_RETURN_IF_ERROR(run_local(step, {in, own, count}, parts));
  if (!parts_.layout.in_stream() || count == 0)
    return Status::ok();
  step.kind = root_host ? CollectiveKind::Reduce : CollectiveKind::Allreduce;
  step.root = static_cast<int>(root_host.value_or(0));
  step.prescale = 1.0;
  FARANDOLE_RETURN_IF_ERROR(run_across(step, {own, own, count}, {}));
  return apply(how.last, own, count);
}

Status HierarchicalCommunicator::broadcast(const CollectiveOp& op, const Segment& segment) {
  const Layout& layout = parts_.layout;
  const size_t root_host = layout.host_of(static_cast<size_t>(op.root));
  CollectiveOp step = op;
  if (layout.host == root_host) {
    step.root = static_cast<int>(layout.local_of(static_cast<size_t>(op.root)));
    FARANDOLE_RETURN_IF_ERROR(run_local(step, segment, {}));
  }
  const std::vector<size_t> parts = layout.parts(segment.count);
  const size_t before = std::accumulate(parts.begin(), parts.begin() + layout.local, size_t{0});
  if (const size_t count = parts[layout.local]; layout.in_stream() && count > 0) {
    void* own = static_cast<uint8_t*>(segment.out) + before * size_of(op.dtype);
    step.root = static_cast<int>(root_host);
    FARANDOLE_RETURN_IF_ERROR(run_across(step, {own, own, count}, {}));
  }
  if (layout.host == root_host)
    return Status::ok();
  return gather_locally(op, segment.out, op.dtype, segment.count);
}

Status HierarchicalCommunicator::barrier(const CollectiveOp& op) {
  FARANDOLE_RETURN_IF_ERROR(parts_.local->run(op, 0));
  if (parts_.layout.local == 0)
    FARANDOLE_RETURN_IF_ERROR(parts_.across->run(op, 0));
  return parts_.local->run(op, 0);
}

// Every member's part is in its place; afterwards all of them are, everywhere on the host.
Status HierarchicalCommunicator::gather_locally(
    const CollectiveOp& op, void* out, DType dtype, size_t count) {
  const std::vector<size_t> parts = parts_.layout.parts(count);
  const size_t local = parts_.layout.local;
  const size_t before = std::accumulate(parts.begin(), parts.begin() + local, size_t{0});
  CollectiveOp step;
  step.kind = CollectiveKind::Allgather;
  step.dtype = dtype;
  step.name = op.name;
  const void* own = static_cast<uint8_t*>(out) + before * size_of(dtype);
  return run_local(step, {own, out, parts[local]}, parts);
}

Status HierarchicalCommunicator::run_local(
    CollectiveOp op, const Segment& segment, std::span<const size_t> counts) {
  op.segments = {&segment, 1};
  op.counts = counts;
  return parts_.local->run(op, 0);
}

Status HierarchicalCommunicator::run_across(
    CollectiveOp op, const Segment& segment, std::span<const size_t> counts) {
  op.segments = {&segment, 1};
  op.counts = counts;
  return parts_.across->run(op, 0);
}

// In pieces, so that an abort is seen soon.
Status HierarchicalCommunicator::apply(const cpu::ReduceSpec& spec, void* data, size_t count) {
  if (cpu::is_identity(spec))
    return Status::ok();
  const cpu::Reducer reducer(spec);
  const size_t element = size_of(spec.dtype);
  const size_t piece = std::max<size_t>(1, (size_t{1} << 20) / element);
  for (size_t done = 0; done < count; done += piece) {
    FARANDOLE_RETURN_IF_ERROR(failure());
    void* here = static_cast<uint8_t*>(data) + done * element;
    const void* source = here;
    reducer.to(here, {&source, 1}, std::min(piece, count - done));
  }
  return Status::ok();
}

}  // namespace farandole::hierarchical

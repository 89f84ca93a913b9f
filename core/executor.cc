#include "core/executor.h"

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/bucket_phases.h"
#include "core/identity.h"
#include "core/request_check.h"

namespace farandole {

// One bucket laid out in memory.
struct Executor::Plan {
  std::vector<Segment> segments;
  std::vector<Outcome> outcomes;
  std::vector<size_t> counts;
  std::vector<Buffer> stand_ins;
  DType dtype = DType::Float32;
  size_t bytes = 0;
};

namespace {

// Bytes of a tensor's result.
size_t result_bytes(const Layout& layout) {
  return static_cast<size_t>(element_count(layout.result_shape)) * size_of(layout.dtype);
}

CollectiveOp operation(const ReadyTensor& first, DType dtype, int root) {
  const Request& request = first.op.request;
  const Signature& s = request.signature;
  return {
      .kind = s.kind == CollectiveKind::Message ? CollectiveKind::Broadcast : s.kind,
      .reduce = s.reduce,
      .dtype = dtype,
      .root = root,
      .prescale = s.prescale,
      .postscale = s.postscale,
      .contributors = first.contributors,
      .name = request.name};
}

Status failed(Code code, const Request& first, std::string_view why) noexcept {
  try {
    return error(code, "{}: {}", describe(first.signature.kind, first.name), why);
  } catch (const std::exception&) {
    return Completion::no_memory();
  }
}

// No exception leaves a lane: it fails the operation, and with it the group.
template <typename Work>
Status guarded(const Request& first, const Work& work) noexcept {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return failed(Code::System, first, "no memory");
  } catch (const std::exception& defect) {
    return failed(Code::Internal, first, defect.what());
  } catch (...) {
    return failed(Code::Internal, first, "an exception of unknown type");
  }
}

}  // namespace

int Executor::index_of(int rank) const {
  const auto place = std::find(parts_.members.begin(), parts_.members.end(), rank);
  return place == parts_.members.end() ? 0 : static_cast<int>(place - parts_.members.begin());
}

Result<Executor::Plan> Executor::plan(const Bucket& bucket) {
  FARANDOLE_FAILPOINT("executor.plan");
  Plan plan;
  for (const ReadyTensor& tensor : bucket) {
    const Request& request = tensor.op.request;
    const Signature& signature = request.signature;
    const int members = static_cast<int>(parts_.members.size());
    const int root = index_of(signature.root);
    FARANDOLE_RETURN_IF_ERROR(
        check_extents(signature, tensor.extents, parts_.index, members, root));
    Layout layout = lay_out(signature, tensor.extents, parts_.index, members, root);
    plan.dtype = layout.dtype;
    Outcome outcome;
    outcome.data = layout.has_result ? request.out : nullptr;
    Segment segment{request.in, nullptr, layout.segment_count, tensor.op.stands_in()};
    if (tensor.op.stands_in()) {
      FARANDOLE_RETURN_IF_ERROR(check_stand_in(signature, parts_.members));
      FARANDOLE_RETURN_IF_ERROR(stand_in(request, segment, result_bytes(layout), plan));
      outcome.data = segment.out;
    } else if (request.out == nullptr && layout.has_result) {
      Result<Buffer> memory = parts_.device->allocate(result_bytes(layout));
      if (!memory)
        return memory.status();
      outcome.owned = std::move(memory).value();
      outcome.data = outcome.owned.data.get();
    }
    segment.out = outcome.data;
    if (signature.kind == CollectiveKind::Message && !layout.has_result)
      segment.out = const_cast<void*>(request.in);  // in place, so that nothing is written
    if (signature.kind != CollectiveKind::Barrier) {
      plan.segments.push_back(segment);
      plan.bytes += layout.segment_count * size_of(plan.dtype);
    }
    plan.counts = std::move(layout.counts);
    outcome.shape = std::move(layout.result_shape);
    outcome.splits = std::move(layout.received);
    outcome.dtype = layout.dtype;
    if (one_tells(signature.kind))
      outcome.value = layout.value;
    else if (signature.kind != CollectiveKind::Barrier)
      outcome.value = tensor.contributors == 0 ? members : tensor.contributors;
    plan.outcomes.push_back(std::move(outcome));
  }
  return plan;
}

// Memory that holds what changes nothing, and room for a result that nobody reads.
Status Executor::stand_in(
    const Request& request, Segment& segment, size_t result_bytes, Plan& plan) {
  FARANDOLE_FAILPOINT("executor.stand_in");
  const Signature& s = request.signature;
  const size_t bytes = std::max(segment.count * size_of(s.dtype), result_bytes);
  Result<Buffer> memory = parts_.device->allocate(bytes);
  if (!memory)
    return memory.status();
  segment.out = memory.value().data.get();
  if (reduces(s.kind)) {
    Result<Buffer> in = parts_.device->allocate(segment.count * size_of(s.dtype));
    if (!in)
      return in.status();
    const Element element = identity_element(s.reduce, s.dtype, s.prescale);
    FARANDOLE_RETURN_IF_ERROR(parts_.device->fill(
        in.value().data.get(),
        std::span(element).first(size_of(s.dtype)),
        segment.count,
        request.stream));
    segment.in = in.value().data.get();
    plan.stand_ins.push_back(std::move(in).value());
  } else {
    segment.in = segment.out;
  }
  plan.stand_ins.push_back(std::move(memory).value());
  return Status::ok();
}

void Executor::retire() {
  FARANDOLE_FAILPOINT("executor.retire");
  std::unique_ptr<Communicator> gone;
  {
    MutexLock lock(mutex_);
    gone = std::move(communicator_);
    lane_communicator_ = nullptr;
  }
  gone.reset();
  staging_ = {};
}

Status Executor::connected(const BucketPhases& phases) {
  std::shared_ptr<Interrupt> interrupt;
  {
    MutexLock lock(mutex_);
    if (!aborted_.is_ok())
      return aborted_;
    if (communicator_)
      return Status::ok();
    Result<std::shared_ptr<Interrupt>> fresh = Interrupt::make();
    if (!fresh)
      return fresh.status();
    interrupt = forming_ = std::move(fresh).value();
  }
  phases.enter(Phase::Forming);
  FARANDOLE_FAILPOINT("executor.connect");
  Result<std::unique_ptr<Communicator>> made = parts_.connect(std::move(interrupt));
  MutexLock lock(mutex_);
  FARANDOLE_FAILPOINT("executor.connected");
  forming_.reset();
  if (!aborted_.is_ok())
    return aborted_;
  if (!made)
    return made.status();
  communicator_ = std::move(made).value();
  lane_communicator_ = communicator_.get();
  return Status::ok();
}

void Executor::abort(Status why) {
  MutexLock lock(mutex_);
  if (!aborted_.is_ok())
    return;
  aborted_ = why;
  if (forming_)
    forming_->trigger(why);
  if (communicator_)
    communicator_->abort(std::move(why));
}

Result<void*> Executor::staging(size_t bytes) {
  if (staging_.bytes < bytes) {
    staging_ = {};
    Result<Buffer> memory = parts_.device->allocate(bytes);
    if (!memory)
      return memory.status();
    staging_ = std::move(memory).value();
  }
  return staging_.data.get();
}

Status Executor::run(
    Plan& plan, const CollectiveOp& op, StreamHandle stream, const BucketPhases& phases) {
  CollectiveOp whole = op;
  whole.counts = plan.counts;
  whole.segments = plan.segments;
  // Adasum has to know where a tensor ends.
  const bool keeps_ends = reduces(op.kind) && !is_elementwise(op.reduce);
  const Traits traits = lane_communicator_->traits();
  if (plan.segments.size() <= 1 || keeps_ends || traits.takes_segments) {
    phases.enter(Phase::Moving, traits.name);
    return lane_communicator_->run(whole, stream);
  }
  phases.enter(Phase::Packing);
  Result<void*> memory = staging(plan.bytes);
  if (!memory)
    return memory.status();
  FARANDOLE_RETURN_IF_ERROR(parts_.device->pack(plan.segments, plan.dtype, memory.value(), stream));
  const Segment packed{memory.value(), memory.value(), plan.bytes / size_of(plan.dtype)};
  whole.segments = std::span(&packed, 1);
  phases.enter(Phase::Moving, traits.name);
  FARANDOLE_RETURN_IF_ERROR(lane_communicator_->run(whole, stream));
  if (ends_at_root(op.kind) && op.root != parts_.index)
    return Status::ok();
  phases.enter(Phase::Unpacking);
  return parts_.device->unpack(memory.value(), plan.segments, plan.dtype, stream);
}

bool Executor::execute(Bucket bucket) noexcept {
  const Request& first = bucket.front().op.request;
  const TimePoint start = steady_now();
  Event event{
      .kind = EventKind::BucketStart,
      .name = first.name,
      .collective = first.signature.kind,
      .tensors = bucket.size()};
  Plan plan;
  const BucketPhases phases(*parts_.emitter, bucket);
  Status status = guarded(first, [&]() -> Status {
    FARANDOLE_FAILPOINT("executor.execute");
    FARANDOLE_RETURN_IF_ERROR(connected(phases));
    Result<Plan> laid_out = this->plan(bucket);
    FARANDOLE_RETURN_IF_ERROR(laid_out.status());
    plan = std::move(laid_out).value();
    event.bytes = plan.bytes;
    parts_.emitter->emit(event);
    const int root = index_of(first.signature.root);
    return run(plan, operation(bucket.front(), plan.dtype, root), first.stream, phases);
  });
  const TimePoint end = steady_now();
  event.kind = EventKind::BucketEnd;
  event.code = status.code();
  event.when = end;
  event.duration = end - start;
  parts_.emitter->emit(event);

  if (!status.is_ok()) {
    phases.enter(Phase::Ended);
    parts_.broken(std::move(bucket), std::move(status));
    return false;
  }
  for (size_t i = 0; i < bucket.size(); ++i)
    parts_.completion->settle(
        std::move(bucket[i].op), Status::ok(), std::move(plan.outcomes[i]), end);
  return true;
}

}  // namespace farandole

// GlooCommunicator: what reduces.
#include <gloo/allreduce.h>

#include <algorithm>
#include <numeric>

#include "collectives/cpu/check_op.h"
#include "collectives/gloo/gloo_communicator.h"

namespace farandole::gloo_comm {
namespace {

// A prefix of our own among Gloo's slots (gloo/types.h ends at 0x08).
constexpr uint8_t kOneShotSlot = 0x40;

uint64_t slot_of(uint8_t prefix, uint32_t operation) {
  return uint64_t{prefix} << 56 | uint64_t{operation} << 8;
}

struct Wide {
  uint64_t parts[2];
};

// Gloo asks for an element type only to know its size.
template <typename T>
void set_output(::gloo::AllreduceOptions& options, const Segment& segment, bool from_input) {
  if (from_input)
    options.setInput(const_cast<T*>(static_cast<const T*>(segment.in)), segment.count);
  options.setOutput(static_cast<T*>(segment.out), segment.count);
}

void set_output(
    ::gloo::AllreduceOptions& options, size_t element, const Segment& segment, bool from_input) {
  switch (element) {
    case 1:
      return set_output<uint8_t>(options, segment, from_input);
    case 2:
      return set_output<uint16_t>(options, segment, from_input);
    case 4:
      return set_output<uint32_t>(options, segment, from_input);
    case 8:
      return set_output<uint64_t>(options, segment, from_input);
    default:
      return set_output<Wide>(options, segment, from_input);
  }
}

}  // namespace

void GlooCommunicator::allreduce(const CollectiveOp& op, const Segment& segment) {
  const size_t bytes = segment.count * size_of(op.dtype);
  if (bytes == 0)
    return;
  if (bytes <= options_.one_shot_bytes)
    allreduce_one_shot(op, segment);
  else if (!cpu::keeps_partial_results(op))
    allreduce_direct(op, segment);
  else
    allreduce_by_gloo(op, segment);
}

void GlooCommunicator::allreduce_one_shot(const CollectiveOp& op, const Segment& segment) {
  const size_t bytes = segment.count * size_of(op.dtype);
  const uint64_t slot = slot_of(kOneShotSlot, operations_);
  uint8_t* memory = staging_.take(bytes * size());
  const auto mine = context_->createUnboundBuffer(const_cast<void*>(segment.in), bytes);
  const auto theirs = context_->createUnboundBuffer(memory, bytes * size());
  std::vector<const void*> sources(size());
  for (size_t other = 0; other < size(); ++other) {
    sources[other] = other == self() ? segment.in : memory + other * bytes;
    if (other == self())
      continue;
    theirs->recv(static_cast<int>(other), slot, other * bytes, bytes);
    mine->send(static_cast<int>(other), slot);
  }
  for (size_t i = 1; i < size(); ++i) {
    theirs->waitRecv();
    mine->waitSend();
  }
  cpu::reduce(cpu::reduce_spec(op, size()), segment.out, sources, segment.count);
}

// Scales go before and after: Gloo knows nothing of them.
void GlooCommunicator::allreduce_by_gloo(const CollectiveOp& op, const Segment& segment) {
  const cpu::ReduceSpec before{op.dtype, ReduceOp::Sum, op.prescale, 1.0, 1};
  const ReduceOp pairwise = op.reduce == ReduceOp::Average ? ReduceOp::Sum : op.reduce;
  const cpu::Reducer reducer({op.dtype, pairwise, 1.0, 1.0, 1});
  const ReduceOp last = op.reduce == ReduceOp::Average ? ReduceOp::Average : ReduceOp::Sum;
  const cpu::ReduceSpec after{
      op.dtype, last, 1.0, op.postscale, cpu::reduce_spec(op, size()).members};
  const bool from_input = segment.in != segment.out && cpu::is_identity(before);
  if (!from_input)
    scale(before, segment.in, segment.out, segment.count);

  const size_t element = size_of(op.dtype);
  ::gloo::AllreduceOptions options(context_);
  options.setTag(operations_);
  options.setAlgorithm(
      segment.count * element <= options_.bcube_bytes ? ::gloo::AllreduceOptions::Algorithm::BCUBE
                                                      : ::gloo::AllreduceOptions::Algorithm::RING);
  options.setReduceFunction([&](void* out, const void* a, const void* b, size_t count) {
    const void* sources[] = {a, b};
    reducer.to(out, sources, count);
  });
  set_output(options, element, segment, from_input);
  ::gloo::allreduce(options);
  scale(after, segment.out, segment.out, segment.count);
}

// Every element is reduced in one go, by one member. Of half types: half the bytes of a ring of
// float32, and one rounding.
void GlooCommunicator::allreduce_direct(const CollectiveOp& op, const Segment& segment) {
  const size_t element = size_of(op.dtype);
  std::vector<size_t> counts(size());
  for (size_t i = 0; i < size(); ++i)
    counts[i] = segment.count * (i + 1) / size() - segment.count * i / size();
  const size_t before = std::accumulate(counts.begin(), counts.begin() + self(), size_t{0});
  reducescatter(op, segment.in, static_cast<uint8_t*>(segment.out) + before * element, counts);
  allgather(segment.out, element, counts);
}

void GlooCommunicator::adasum(const CollectiveOp& op) {
  const auto step = [this](const CollectiveOp& part) {
    dispatch(part);
    return Status::ok();
  };
  const auto going = [this] {
    check_going();
    return Status::ok();
  };
  // What fails throws.
  static_cast<void>(adasum_.allreduce(op, {size(), self(), step, going}));
}

}  // namespace farandole::gloo_comm

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
constexpr uint8_t kDirectSlot = 0x41;

uint64_t slot_of(uint8_t prefix, uint32_t operation) {
  return uint64_t{prefix} << 56 | uint64_t{operation} << 8;
}

struct Wide {
  uint64_t parts[2];
};

const uint8_t* at(const void* base, size_t offset) {
  return static_cast<const uint8_t*>(base) + offset;
}

uint8_t* at(void* base, size_t offset) {
  return static_cast<uint8_t*>(base) + offset;
}

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
  else if (is_half(op.dtype))
    allreduce_direct(op, segment);
  else
    allreduce_by_gloo(op, segment);
}

void GlooCommunicator::allreduce_one_shot(const CollectiveOp& op, const Segment& segment) {
  const size_t bytes = segment.count * size_of(op.dtype);
  const uint64_t slot = slot_of(kOneShotSlot, operations_);
  uint8_t* memory = staging(bytes * size());
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
  const cpu::ReduceSpec after{op.dtype, last, 1.0, op.postscale, size()};
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

// Half the bytes of a ring of float32, and one rounding.
void GlooCommunicator::allreduce_direct(const CollectiveOp& op, const Segment& segment) {
  const size_t element = size_of(op.dtype);
  std::vector<size_t> counts(size());
  for (size_t i = 0; i < size(); ++i)
    counts[i] = segment.count * (i + 1) / size() - segment.count * i / size();
  const size_t before = std::accumulate(counts.begin(), counts.begin() + self(), size_t{0});
  reducescatter(op, segment.in, at(segment.out, before * element), counts);
  allgather(segment.out, element, counts);
}

// Round k moves piece k of every part to the part's owner; while one round's pieces are reduced the
// next one's are on their way. Sends come straight from the input.
void GlooCommunicator::reducescatter(
    const CollectiveOp& op, const void* in, void* out, std::span<const size_t> counts) {
  const size_t element = size_of(op.dtype);
  const size_t others = size() - 1;
  const size_t piece = std::max<size_t>(
      1, std::min(options_.piece_bytes, options_.staging_bytes / (2 * others)) / element);
  const size_t longest = *std::max_element(counts.begin(), counts.end());
  const size_t rounds = (longest + piece - 1) / piece;
  const uint64_t slot = slot_of(kDirectSlot, operations_);
  std::vector<size_t> first(size() + 1);
  std::partial_sum(counts.begin(), counts.end(), first.begin() + 1);
  const auto elements_in = [&](size_t member, size_t round) {
    return std::min(piece, counts[member] - std::min(counts[member], round * piece));
  };

  const size_t half_bytes = size() * std::min(piece, counts[self()]) * element;
  const size_t place_bytes = half_bytes / size();
  uint8_t* memory = staging(2 * half_bytes);
  const auto mine = context_->createUnboundBuffer(const_cast<void*>(in), first.back() * element);
  std::unique_ptr<::gloo::transport::UnboundBuffer> halves[2] = {
      context_->createUnboundBuffer(memory, half_bytes),
      context_->createUnboundBuffer(memory + half_bytes, half_bytes)};
  size_t sends = 0;
  const auto post = [&](size_t round) {
    for (size_t step = 1; step < size(); ++step) {
      const size_t from = (self() + size() - step) % size();
      const size_t to = (self() + step) % size();
      if (const size_t n = elements_in(self(), round); n > 0)
        halves[round % 2]->recv(static_cast<int>(from), slot, from * place_bytes, n * element);
      if (const size_t n = elements_in(to, round); n > 0) {
        mine->send(static_cast<int>(to), slot, (first[to] + round * piece) * element, n * element);
        ++sends;
      }
    }
  };

  const cpu::Reducer reducer(cpu::reduce_spec(op, size()));
  std::vector<const void*> sources(size());
  for (size_t round = 0; round < rounds; ++round) {
    if (round == 0)
      post(0);
    if (round + 1 < rounds)
      post(round + 1);
    const size_t n = elements_in(self(), round);
    if (n == 0)
      continue;
    for (size_t i = 0; i < others; ++i) halves[round % 2]->waitRecv();
    for (size_t other = 0; other < size(); ++other)
      sources[other] = other == self() ? at(in, (first[self()] + round * piece) * element)
                                       : memory + (round % 2) * half_bytes + other * place_bytes;
    reducer.to(at(out, round * piece * element), sources, n);
  }
  for (; sends > 0; --sends) mine->waitSend();
}

}  // namespace farandole::gloo_comm

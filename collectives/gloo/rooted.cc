// GlooCommunicator: reduce, gather and scatter.
#include <algorithm>
#include <numeric>

#include "collectives/gloo/gloo_communicator.h"

namespace farandole::gloo_comm {
namespace {

// Prefixes of our own among Gloo's slots (gloo/types.h ends at 0x08).
constexpr uint64_t kGatherSlot = 0x42, kScatterSlot = 0x43;

uint64_t slot_of(uint64_t prefix, uint32_t operation) {
  return prefix << 56 | uint64_t{operation} << 8;
}

size_t before(std::span<const size_t> counts, size_t member) {
  return std::accumulate(counts.begin(), counts.begin() + member, size_t{0});
}

}  // namespace

// In slices, for the sake of the staging memory.
void GlooCommunicator::reduce(const CollectiveOp& op, const Segment& segment) {
  const size_t element = size_of(op.dtype);
  if (segment.count == 0)
    return;
  if (size() == 2 || segment.count * element <= options_.bcube_bytes) {
    std::vector<size_t> counts(size());
    counts[static_cast<size_t>(op.root)] = segment.count;
    return reducescatter(op, segment.in, segment.out, counts);
  }
  const size_t most = std::max(size(), options_.staging_bytes / element);
  for (size_t done = 0; done < segment.count; done += most) {
    uint8_t* out = static_cast<uint8_t*>(segment.out);
    reduce_slice(
        op,
        static_cast<const uint8_t*>(segment.in) + done * element,
        op.root == context_->rank ? out + done * element : nullptr,
        std::min(most, segment.count - done));
  }
}

void GlooCommunicator::reduce_slice(
    const CollectiveOp& op, const void* in, void* out, size_t count) {
  const size_t element = size_of(op.dtype);
  std::vector<size_t> counts(size());
  for (size_t i = 0; i < size(); ++i) counts[i] = count * (i + 1) / size() - count * i / size();
  uint8_t* own = out != nullptr ? static_cast<uint8_t*>(out) + before(counts, self()) * element
                                : part_.take(counts[self()] * element);
  reducescatter(op, in, own, counts);
  for (size_t& each : counts) each *= element;
  gather(op.root, own, out, counts);
}

void GlooCommunicator::gather(int root, const void* in, void* out, std::span<const size_t> bytes) {
  const uint64_t slot = slot_of(kGatherSlot, operations_);
  if (root != context_->rank) {
    if (bytes[self()] == 0)
      return;
    const auto mine = context_->createUnboundBuffer(const_cast<void*>(in), bytes[self()]);
    mine->send(root, slot);
    mine->waitSend();
    return;
  }
  const auto all = context_->createUnboundBuffer(out, before(bytes, size()));
  size_t parts = 0;
  for (size_t step = 1; step < size(); ++step) {
    const size_t from = (self() + step) % size();
    if (bytes[from] == 0)
      continue;
    all->recv(static_cast<int>(from), slot, before(bytes, from), bytes[from]);
    ++parts;
  }
  for (; parts > 0; --parts) all->waitRecv();
}

void GlooCommunicator::scatter(const CollectiveOp& op) {
  const uint64_t slot = slot_of(kScatterSlot, operations_);
  const size_t element = size_of(op.dtype), own = op.counts[self()] * element;
  const Segment& segment = op.segments[0];
  if (op.root != context_->rank) {
    if (own == 0)
      return;
    const auto mine = context_->createUnboundBuffer(segment.out, own);
    mine->recv(op.root, slot);
    mine->waitRecv();
    return;
  }
  auto* in = static_cast<uint8_t*>(const_cast<void*>(segment.in));
  const auto all = context_->createUnboundBuffer(in, before(op.counts, size()) * element);
  size_t parts = 0;
  for (size_t step = 1; step < size(); ++step) {
    const size_t to = (self() + step) % size();
    if (op.counts[to] == 0)
      continue;
    all->send(static_cast<int>(to), slot, before(op.counts, to) * element, op.counts[to] * element);
    ++parts;
  }
  if (own != 0)
    copy(in + before(op.counts, self()) * element, segment.out, own);
  for (; parts > 0; --parts) all->waitSend();
}

}  // namespace farandole::gloo_comm

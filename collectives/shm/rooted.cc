// Reduce, gather and scatter: what one member alone gets, or gives. Steps and slots as in moves.cc
// and allreduce.cc, but that only the root copies out, or in.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "collectives/cpu/check_op.h"
#include "collectives/cpu/copy.h"
#include "collectives/shm/shm_communicator.h"

namespace farandole::shm {
namespace {

size_t elements_before(const CollectiveOp& op, size_t member) {
  return std::accumulate(op.counts.begin(), op.counts.begin() + member, size_t{0});
}

// Bytes of chunk `t` of a part of so many.
size_t bytes_of(size_t part, size_t t, size_t chunk_bytes) {
  return std::min(chunk_bytes, part - std::min(part, t * chunk_bytes));
}

size_t chunks_of(size_t bytes, size_t chunk_bytes) {
  return (bytes + chunk_bytes - 1) / chunk_bytes;
}

// Chunk `t` of what the root has for itself: in step with the others', so that an abort is seen in
// between however large it is.
void copy_own(std::byte* to, const std::byte* from, size_t bytes, size_t t, size_t chunk_bytes) {
  const size_t part = bytes_of(bytes, t, chunk_bytes);
  if (part != 0 && to != from)
    std::memcpy(to + t * chunk_bytes, from + t * chunk_bytes, part);
}

}  // namespace

// As a pipelined allreduce: each member reduces its part of every chunk; the root copies them out.
Status ShmCommunicator::reduce(const CollectiveOp& op) {
  list_.assign(op.segments, size_of(op.dtype));
  if (list_.bytes() == 0)
    return Status::ok();
  if (goes_in_one_shot())
    return allreduce_one_shot(op);
  const cpu::Reducer reducer(cpu::reduce_spec(op, size()));
  const size_t chunk_bytes = segment_.geometry().slot_bytes;
  const size_t chunks = chunks_of(list_.bytes(), chunk_bytes);
  const uint64_t first = barrier_.step();
  const bool receives = static_cast<uint32_t>(op.root) == options_.index;
  const auto chunk = [&](size_t t) {
    return Part{t * chunk_bytes, std::min(list_.bytes(), (t + 1) * chunk_bytes)};
  };
  for (size_t t = 0; t < chunks + 2; ++t) {
    if (t < chunks)
      copy_in(chunk(t), first + t);
    if (t >= 1 && t - 1 < chunks && receives)
      reduce_own(op, reducer, chunk(t - 1), first + t - 1);
    if (t >= 1 && t - 1 < chunks && !receives)
      reduce_for_root(op, reducer, chunk(t - 1), first + t - 1);
    if (t >= 2 && receives)
      copy_out(chunk(t - 2), first + t - 2);
    if (t < chunks + 1)
      FARANDOLE_RETURN_IF_ERROR(next_step(op));
  }
  return Status::ok();
}

// The own part, to the own slot alone.
void ShmCommunicator::reduce_for_root(
    const CollectiveOp& op, const cpu::Reducer& reducer, Part chunk, uint64_t step) {
  const size_t element = size_of(op.dtype);
  const Part part = part_of(chunk.bytes(), options_.index);
  size_t offset = part.begin;
  list_.for_range(
      chunk.begin + part.begin, part.bytes(), [&](const std::byte* in, std::byte*, size_t bytes) {
        for (uint32_t member = 0; member < size(); ++member)
          sources_[member] = member == options_.index ? in : slot(member, step) + offset;
        reducer.to(slot(options_.index, step) + offset, sources_, bytes / element);
        offset += bytes;
      });
}

Status ShmCommunicator::gather(const CollectiveOp& op) {
  const size_t chunk_bytes = segment_.geometry().slot_bytes, element = size_of(op.dtype);
  const size_t longest = *std::max_element(op.counts.begin(), op.counts.end()) * element;
  const size_t chunks = chunks_of(longest, chunk_bytes);
  const uint64_t first = barrier_.step();
  const uint32_t me = options_.index, root = static_cast<uint32_t>(op.root);
  const auto* in = static_cast<const std::byte*>(op.segments[0].in);
  auto* out = static_cast<std::byte*>(op.segments[0].out);
  for (size_t t = 0; t < chunks + 1; ++t) {
    if (me == root)
      copy_own(
          out + elements_before(op, me) * element, in, op.counts[me] * element, t, chunk_bytes);
    const size_t given = me == root ? 0 : bytes_of(op.counts[me] * element, t, chunk_bytes);
    if (given != 0)
      cpu::copy(slot(me, first + t), in + t * chunk_bytes, given, policy());
    for (uint32_t i = 1; i < size() && t >= 1 && me == root; ++i) {
      const uint32_t member = (me + i) % size();
      const size_t taken = bytes_of(op.counts[member] * element, t - 1, chunk_bytes);
      std::byte* to = out + elements_before(op, member) * element + (t - 1) * chunk_bytes;
      if (taken != 0)
        std::memcpy(to, slot(member, first + t - 1), taken);
    }
    if (t < chunks)
      FARANDOLE_RETURN_IF_ERROR(next_step(op));
  }
  return Status::ok();
}

// The root's slot has a region for each receiver.
Status ShmCommunicator::scatter(const CollectiveOp& op) {
  const size_t region = region_bytes(), element = size_of(op.dtype);
  const size_t longest = *std::max_element(op.counts.begin(), op.counts.end()) * element;
  const size_t chunks = chunks_of(longest, region);
  const uint64_t first = barrier_.step();
  const uint32_t me = options_.index, root = static_cast<uint32_t>(op.root);
  const auto* in = static_cast<const std::byte*>(op.segments[0].in);
  auto* out = static_cast<std::byte*>(op.segments[0].out);
  for (size_t t = 0; t < chunks + 1; ++t) {
    if (me == root)
      copy_own(out, in + elements_before(op, me) * element, op.counts[me] * element, t, region);
    for (uint32_t i = 1; i < size() && t < chunks && me == root; ++i) {
      const uint32_t member = (me + i) % size();
      const size_t given = bytes_of(op.counts[member] * element, t, region);
      const std::byte* from = in + elements_before(op, member) * element + t * region;
      cpu::copy(slot(me, first + t) + member * region, from, given, policy());
    }
    const size_t taken =
        t == 0 || me == root ? 0 : bytes_of(op.counts[me] * element, t - 1, region);
    if (taken != 0)
      std::memcpy(out + (t - 1) * region, slot(root, first + t - 1) + me * region, taken);
    if (t < chunks)
      FARANDOLE_RETURN_IF_ERROR(next_step(op));
  }
  return Status::ok();
}

}  // namespace farandole::shm

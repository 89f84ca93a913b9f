// Allreduce through slots.
//
// Nomenclature: the tensor, all segments in a row, is cut into chunks 0 … K-1; a chunk into parts
// 0 … n-1, of which member r reduces part r. In step t of a pipelined allreduce every member
//   copies in    the others' parts of its own chunk t to its slot t,
//   reduces      its own part of chunk t-1, out of the others' slots and its own input, into its
//                output and its slot t-1,
//   copies out   the others' parts of chunk t-2, out of their slots.
// So each part is touched while it is in the cache, and a member's own part is never copied. Small
// tensors are done in one shot: copy in, one barrier, and everybody reduces everything.
//
// Every element is reduced over the members in rank order, by whomever: the result's bits depend
// neither on the chunking nor on how tensors were put together.
#include <algorithm>
#include <cstring>

#include "collectives/cpu/check_op.h"
#include "collectives/cpu/copy.h"
#include "collectives/shm/shm_communicator.h"

namespace farandole::shm {
namespace {

constexpr size_t kOneShotBytes = 8192;
constexpr size_t kPartAlignment = 64;  // a cache line, and a multiple of every element
// One of so many pipelined operations is preceded by a few empty steps that measure a hand-off.
constexpr uint64_t kProbePeriod = 32;
constexpr int kProbes = 6;

}  // namespace

Status ShmCommunicator::allreduce(const CollectiveOp& op) {
  list_.assign(op.segments, size_of(op.dtype));
  if (list_.bytes() == 0)
    return Status::ok();
  if (goes_in_one_shot())
    return allreduce_one_shot(op);
  // Where ranks share cores a hand-off measures the scheduler, so there is one class of latency.
  if (!options_.oversubscribed && pipelined_ops_++ % kProbePeriod == 0)
    FARANDOLE_RETURN_IF_ERROR(measure_handoff(op));
  if (options_.index != 0)
    return allreduce_pipelined(op);
  const auto chosen = tuner_.choose(list_.bytes());
  segment_.header().store_policy.store(
      chosen == cpu::StorePolicy::NonTemporal ? 1 : 0, std::memory_order_relaxed);
  const TimePoint start = steady_now();
  FARANDOLE_RETURN_IF_ERROR(allreduce_pipelined(op));
  tuner_.report(list_.bytes(), steady_now() - start - waited_);
  return Status::ok();
}

bool ShmCommunicator::goes_in_one_shot() const noexcept {
  return size() == 1 ||
         list_.bytes() <= std::min<uint64_t>(kOneShotBytes, segment_.geometry().slot_bytes);
}

Status ShmCommunicator::measure_handoff(const CollectiveOp& op) {
  Duration shortest = Duration::max();
  FARANDOLE_RETURN_IF_ERROR(next_step(op));
  for (int i = 0; i < kProbes; ++i) {
    const TimePoint start = steady_now();
    FARANDOLE_RETURN_IF_ERROR(next_step(op));
    shortest = std::min(shortest, steady_now() - start);
  }
  tuner_.observe_handoff(shortest);
  return Status::ok();
}

Status ShmCommunicator::allreduce_one_shot(const CollectiveOp& op) {
  const cpu::Reducer reducer(cpu::reduce_spec(op, size()));
  const size_t element = size_of(op.dtype);
  const uint64_t step = barrier_.step();
  if (size() > 1) {
    std::byte* own = slot(options_.index, step);
    list_.for_range(0, list_.bytes(), [&](const std::byte* in, std::byte*, size_t bytes) {
      std::memcpy(own, in, bytes);
      own += bytes;
    });
    FARANDOLE_RETURN_IF_ERROR(next_step(op));
  }
  if (ends_at_root(op.kind) && static_cast<uint32_t>(op.root) != options_.index)
    return Status::ok();
  size_t offset = 0;
  list_.for_range(0, list_.bytes(), [&](const std::byte* in, std::byte* out, size_t bytes) {
    for (uint32_t member = 0; member < size(); ++member)
      sources_[member] = member == options_.index ? in : slot(member, step) + offset;
    reducer.to(out, sources_, bytes / element);
    offset += bytes;
  });
  return Status::ok();
}

ShmCommunicator::Part ShmCommunicator::part_of(size_t chunk_bytes, uint32_t member) const noexcept {
  const size_t each = (chunk_bytes + size() - 1) / size();
  const size_t aligned = (each + kPartAlignment - 1) / kPartAlignment * kPartAlignment;
  return {std::min(chunk_bytes, aligned * member), std::min(chunk_bytes, aligned * (member + 1))};
}

Status ShmCommunicator::allreduce_pipelined(const CollectiveOp& op) {
  const cpu::Reducer reducer(cpu::reduce_spec(op, size()));
  const size_t chunk_bytes = segment_.geometry().slot_bytes;
  const size_t chunks = (list_.bytes() + chunk_bytes - 1) / chunk_bytes;
  const uint64_t first = barrier_.step();
  const auto chunk = [&](size_t t) {
    return Part{t * chunk_bytes, std::min(list_.bytes(), (t + 1) * chunk_bytes)};
  };
  for (size_t t = 0; t < chunks + 2; ++t) {
    if (t < chunks)
      copy_in(chunk(t), first + t);
    if (t >= 1 && t - 1 < chunks)
      reduce_own(op, reducer, chunk(t - 1), first + t - 1);
    if (t >= 2)
      copy_out(chunk(t - 2), first + t - 2);
    if (t == 0 && options_.index == 0) {
      // Members come when they come: that is no cost of storing.
      cpu::finish_stores();
      const TimePoint came = steady_now();
      FARANDOLE_RETURN_IF_ERROR(next_step(op));
      waited_ = steady_now() - came;
    } else if (t < chunks + 1) {
      FARANDOLE_RETURN_IF_ERROR(next_step(op));
    }
  }
  return Status::ok();
}

void ShmCommunicator::copy_in(Part chunk, uint64_t step) {
  const cpu::StorePolicy how = policy();
  for (uint32_t member = 0; member < size(); ++member) {
    if (member == options_.index)
      continue;
    const Part part = part_of(chunk.bytes(), member);
    std::byte* to = slot(options_.index, step) + part.begin;
    list_.for_range(
        chunk.begin + part.begin, part.bytes(), [&](const std::byte* in, std::byte*, size_t bytes) {
          cpu::copy(to, in, bytes, how);
          to += bytes;
        });
  }
}

void ShmCommunicator::reduce_own(
    const CollectiveOp& op, const cpu::Reducer& reducer, Part chunk, uint64_t step) {
  const cpu::StorePolicy how = policy();
  const size_t element = size_of(op.dtype);
  const Part part = part_of(chunk.bytes(), options_.index);
  size_t offset = part.begin;
  list_.for_range(
      chunk.begin + part.begin,
      part.bytes(),
      [&](const std::byte* in, std::byte* out, size_t bytes) {
        for (uint32_t member = 0; member < size(); ++member)
          sources_[member] = member == options_.index ? in : slot(member, step) + offset;
        reducer.to_both(out, slot(options_.index, step) + offset, sources_, bytes / element, how);
        offset += bytes;
      });
}

void ShmCommunicator::copy_out(Part chunk, uint64_t step) {
  for (uint32_t i = 1; i < size(); ++i) {
    const uint32_t member = (options_.index + i) % size();
    const Part part = part_of(chunk.bytes(), member);
    const std::byte* from = slot(member, step) + part.begin;
    list_.for_range(
        chunk.begin + part.begin,
        part.bytes(),
        [&](const std::byte*, std::byte* out, size_t bytes) {
          std::memcpy(out, from, bytes);
          from += bytes;
        });
  }
}

}  // namespace farandole::shm

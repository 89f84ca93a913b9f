// The kinds that move data without reducing it everywhere, all in the same way: in step t a member
// writes its chunk t to its slot of that step and takes the others' chunks t-1 out of theirs.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "collectives/cpu/check_op.h"
#include "collectives/cpu/copy.h"
#include "collectives/shm/shm_communicator.h"

namespace farandole::shm {
namespace {

// What one member has for another (or for all) of an operation: bytes of the caller's memory.
struct Run {
  size_t begin = 0;
  size_t bytes = 0;

  // The part of it that goes in chunk `t`, none where it is too short.
  Run chunk(size_t t, size_t chunk_bytes) const noexcept {
    const size_t skipped = std::min(bytes, t * chunk_bytes);
    return {begin + skipped, std::min(chunk_bytes, bytes - skipped)};
  }
};

// Counts of elements, one behind the other, as runs.
std::vector<Run> runs_of(std::span<const size_t> counts, size_t element) {
  std::vector<Run> runs;
  size_t begin = 0;
  for (const size_t count : counts) {
    runs.push_back({begin, count * element});
    begin += count * element;
  }
  return runs;
}

// The blocks that member `to` receives, in the order of their senders.
std::vector<Run> column_of(std::span<const size_t> counts, size_t n, size_t to, size_t element) {
  std::vector<size_t> column;
  for (size_t from = 0; from < n; ++from) column.push_back(counts[from * n + to]);
  return runs_of(column, element);
}

size_t chunks_of(std::span<const size_t> counts, size_t element, size_t chunk_bytes) {
  const size_t longest =
      counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end()) * element;
  return (longest + chunk_bytes - 1) / chunk_bytes;
}

void copy_across(std::byte* to, const std::byte* from, size_t bytes) {
  if (bytes != 0 && to != from)
    std::memcpy(to, from, bytes);
}

}  // namespace

Status ShmCommunicator::broadcast(const CollectiveOp& op) {
  list_.assign(op.segments, size_of(op.dtype));
  const size_t chunk_bytes = segment_.geometry().slot_bytes;
  const size_t chunks = (list_.bytes() + chunk_bytes - 1) / chunk_bytes;
  const uint64_t first = barrier_.step();
  const auto root = static_cast<uint32_t>(op.root);
  const bool sends = root == options_.index;
  for (size_t t = 0; t < chunks + 1; ++t) {
    const size_t which = sends ? t : t - 1;
    if (which < chunks) {  // t - 1 wraps where there is nothing to take yet
      const Run run = Run{0, list_.bytes()}.chunk(which, chunk_bytes);
      std::byte* place = slot(root, first + which);
      list_.for_range(run.begin, run.bytes, [&](const std::byte* in, std::byte* out, size_t bytes) {
        if (sends) {
          cpu::copy(place, in, bytes, policy());
          copy_across(out, in, bytes);
        } else {
          std::memcpy(out, place, bytes);
        }
        place += bytes;
      });
    }
    if (t < chunks)
      FARANDOLE_RETURN_IF_ERROR(next_step(op));
  }
  return Status::ok();
}

Status ShmCommunicator::allgather(const CollectiveOp& op) {
  const size_t chunk_bytes = segment_.geometry().slot_bytes;
  const std::vector<Run> runs = runs_of(op.counts, size_of(op.dtype));
  const size_t chunks = chunks_of(op.counts, size_of(op.dtype), chunk_bytes);
  const uint64_t first = barrier_.step();
  const auto* in = static_cast<const std::byte*>(op.segments[0].in);
  auto* out = static_cast<std::byte*>(op.segments[0].out);
  const Run own = runs[options_.index];
  for (size_t t = 0; t < chunks + 1; ++t) {
    if (const Run run = own.chunk(t, chunk_bytes); run.bytes != 0) {
      const std::byte* from = in + (run.begin - own.begin);
      cpu::copy(slot(options_.index, first + t), from, run.bytes, policy());
      copy_across(out + run.begin, from, run.bytes);
    }
    for (uint32_t i = 1; i < size() && t >= 1; ++i) {
      const uint32_t member = (options_.index + i) % size();
      const Run run = runs[member].chunk(t - 1, chunk_bytes);
      copy_across(out + run.begin, slot(member, first + t - 1), run.bytes);
    }
    if (t < chunks)
      FARANDOLE_RETURN_IF_ERROR(next_step(op));
  }
  return Status::ok();
}

// A slot is divided into regions, one for each receiver.
size_t ShmCommunicator::region_bytes() const noexcept {
  constexpr size_t kAlignment = 64;
  return segment_.geometry().slot_bytes / size() / kAlignment * kAlignment;
}

Status ShmCommunicator::reducescatter(const CollectiveOp& op) {
  const size_t region = region_bytes(), element = size_of(op.dtype);
  const cpu::Reducer reducer(cpu::reduce_spec(op, size()));
  const std::vector<Run> runs = runs_of(op.counts, element);
  const size_t chunks = chunks_of(op.counts, element, region);
  const uint64_t first = barrier_.step();
  const uint32_t me = options_.index;
  const auto* in = static_cast<const std::byte*>(op.segments[0].in);
  auto* out = static_cast<std::byte*>(op.segments[0].out);
  for (size_t t = 0; t < chunks + 1; ++t) {
    for (uint32_t i = 1; i < size(); ++i) {
      const uint32_t member = (me + i) % size();
      const Run run = runs[member].chunk(t, region);
      cpu::copy(slot(me, first + t) + member * region, in + run.begin, run.bytes, policy());
    }
    if (t >= 1) {
      const Run run = runs[me].chunk(t - 1, region);
      for (uint32_t member = 0; member < size(); ++member)
        sources_[member] =
            member == me ? in + run.begin : slot(member, first + t - 1) + me * region;
      if (run.bytes != 0)
        reducer.to(out + (run.begin - runs[me].begin), sources_, run.bytes / element);
    }
    if (t < chunks)
      FARANDOLE_RETURN_IF_ERROR(next_step(op));
  }
  return Status::ok();
}

Status ShmCommunicator::alltoall(const CollectiveOp& op) {
  const size_t region = region_bytes(), element = size_of(op.dtype), n = size();
  const uint32_t me = options_.index;
  const std::vector<Run> sends = runs_of(op.counts.subspan(me * n, n), element);
  const std::vector<Run> receives = column_of(op.counts, n, me, element);
  const size_t chunks = chunks_of(op.counts, element, region);
  const uint64_t first = barrier_.step();
  const auto* in = static_cast<const std::byte*>(op.segments[0].in);
  auto* out = static_cast<std::byte*>(op.segments[0].out);
  for (size_t t = 0; t < chunks + 1; ++t) {
    const Run own = sends[me].chunk(t, region);
    copy_across(out + receives[me].chunk(t, region).begin, in + own.begin, own.bytes);
    for (uint32_t i = 1; i < n; ++i) {
      const auto member = static_cast<uint32_t>((me + i) % n);
      const Run run = sends[member].chunk(t, region);
      cpu::copy(slot(me, first + t) + member * region, in + run.begin, run.bytes, policy());
    }
    for (uint32_t i = 1; i < n && t >= 1; ++i) {
      const auto member = static_cast<uint32_t>((me + i) % n);
      const Run run = receives[member].chunk(t - 1, region);
      copy_across(out + run.begin, slot(member, first + t - 1) + me * region, run.bytes);
    }
    if (t < chunks)
      FARANDOLE_RETURN_IF_ERROR(next_step(op));
  }
  return Status::ok();
}

}  // namespace farandole::shm

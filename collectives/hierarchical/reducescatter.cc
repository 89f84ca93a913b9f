// HierarchicalCommunicator: reducescatter.
//
// Locally reduced data must lie by stream and, within a stream, by host, but the input lies by
// member. So it is packed in that order, in rounds of a slice of every member's part.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "collectives/cpu/convert.h"
#include "collectives/hierarchical/hierarchical_communicator.h"

namespace farandole::hierarchical {

struct HierarchicalCommunicator::Round {
  size_t first = 0;            // of each part
  std::vector<size_t> slices;  // elements of each member
  std::vector<size_t> starts;  // of each member's part in the input
  uint8_t* memory = nullptr;
  // Elements: of each local place's stream; of each host in the own stream.
  std::vector<size_t> by_stream, by_host;
  size_t own_stream_at = 0, own_host_at = 0;
  size_t total = 0;
};

Status HierarchicalCommunicator::reducescatter(const CollectiveOp& op) {
  const Arithmetic how(op, members_);
  const Layout& layout = parts_.layout;
  const size_t element = size_of(how.dtype);
  // Twice: what the host's members are handed comes behind what was packed.
  const size_t piece = std::max<size_t>(1, parts_.staging_bytes / (2 * members_ * element));
  const size_t longest = *std::max_element(op.counts.begin(), op.counts.end());
  Round round;
  round.starts.resize(members_ + 1);
  std::partial_sum(op.counts.begin(), op.counts.end(), round.starts.begin() + 1);
  for (; round.first < longest; round.first += piece) {
    round.slices.assign(members_, 0);
    for (size_t member = 0; member < members_; ++member)
      round.slices[member] =
          std::min(piece, op.counts[member] - std::min(op.counts[member], round.first));
    round.by_stream.assign(layout.host_size(), 0);
    round.by_host.assign(layout.hosts.size(), 0);
    for (size_t t = 0; t < layout.streams; ++t)
      for (size_t h = 0; h < layout.hosts.size(); ++h)
        for (const size_t member : layout.carried(t, h)) {
          round.by_stream[t] += round.slices[member];
          round.by_host[h] += t == layout.local ? round.slices[member] : 0;
        }
    const auto sum = [](const std::vector<size_t>& counts, size_t until) {
      return std::accumulate(counts.begin(), counts.begin() + until, size_t{0});
    };
    round.total = sum(round.by_stream, round.by_stream.size());
    round.own_stream_at = sum(round.by_stream, layout.local);
    round.own_host_at = round.own_stream_at + sum(round.by_host, layout.host);
    round.memory = staging_.take((round.total + piece) * element);
    FARANDOLE_RETURN_IF_ERROR(failure());
    pack(op, how, round);
    FARANDOLE_RETURN_IF_ERROR(reduce_round(op, how, round));
    FARANDOLE_RETURN_IF_ERROR(hand_out(op, how, round));
  }
  return Status::ok();
}

void HierarchicalCommunicator::pack(
    const CollectiveOp& op, const Arithmetic& how, const Round& round) {
  const size_t element = size_of(op.dtype);
  uint8_t* to = round.memory;
  for (size_t t = 0; t < parts_.layout.streams; ++t)
    for (size_t h = 0; h < parts_.layout.hosts.size(); ++h)
      for (const size_t member : parts_.layout.carried(t, h)) {
        const size_t count = round.slices[member];
        if (count == 0)
          continue;
        const uint8_t* from = static_cast<const uint8_t*>(op.segments[0].in) +
                              (round.starts[member] + round.first) * element;
        if (how.widened)
          cpu::widen(op.dtype, from, reinterpret_cast<float*>(to), count);
        else
          std::memcpy(to, from, count * element);
        to += count * size_of(how.dtype);
      }
}

Status HierarchicalCommunicator::reduce_round(
    const CollectiveOp& op, const Arithmetic& how, const Round& round) {
  const Layout& layout = parts_.layout;
  const size_t element = size_of(how.dtype);
  CollectiveOp step = op;
  step.dtype = how.dtype;
  step.reduce = how.pairwise;
  step.postscale = 1.0;
  uint8_t* stream = round.memory + round.own_stream_at * element;
  FARANDOLE_RETURN_IF_ERROR(
      run_local(step, {round.memory, stream, round.by_stream[layout.local]}, round.by_stream));
  if (!layout.in_stream())
    return Status::ok();
  step.prescale = 1.0;
  uint8_t* own = round.memory + round.own_host_at * element;
  const size_t count = round.by_host[layout.host];
  FARANDOLE_RETURN_IF_ERROR(run_across(step, {stream, own, count}, round.by_host));
  return apply(how.last, own, count);
}

// The own slice to the output; from the host's only stream, where there are fewer than members.
Status HierarchicalCommunicator::hand_out(
    const CollectiveOp& op, const Arithmetic& how, const Round& round) {
  const Layout& layout = parts_.layout;
  const size_t self = layout.hosts[layout.host][layout.local];
  const size_t count = round.slices[self];
  const size_t element = size_of(how.dtype);
  const uint8_t* own = round.memory + round.own_host_at * element;
  uint8_t* out = static_cast<uint8_t*>(op.segments[0].out) + round.first * size_of(op.dtype);
  if (layout.streams < layout.host_size()) {
    const size_t n = layout.host_size();
    std::vector<size_t> counts(n * n);
    for (size_t l = 0; l < n; ++l) counts[l] = round.slices[layout.hosts[layout.host][l]];
    CollectiveOp step;
    step.kind = CollectiveKind::Alltoall;
    step.dtype = how.dtype;
    step.name = op.name;
    uint8_t* behind = round.memory + round.total * element;
    FARANDOLE_RETURN_IF_ERROR(run_local(step, {own, behind, count}, counts));
    own = behind;
  }
  if (count == 0)
    return Status::ok();
  if (how.widened)
    cpu::narrow(op.dtype, reinterpret_cast<const float*>(own), out, count);
  else
    std::memcpy(out, own, count * element);
  return Status::ok();
}

}  // namespace farandole::hierarchical

// HierarchicalCommunicator: reduce.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "collectives/cpu/convert.h"
#include "collectives/hierarchical/hierarchical_communicator.h"

namespace farandole::hierarchical {

// In rounds, for the sake of the staging memory: only the root has an output to compute in.
Status HierarchicalCommunicator::reduce(const CollectiveOp& op, const Segment& segment) {
  const Arithmetic how(op, members_);
  const size_t element = size_of(op.dtype), wide = size_of(how.dtype);
  const size_t most = std::max<size_t>(1, parts_.staging_bytes / wide);
  const bool receives =
      parts_.layout.hosts[parts_.layout.host][parts_.layout.local] == static_cast<size_t>(op.root);
  for (size_t done = 0; done < segment.count; done += most) {
    const size_t count = std::min(most, segment.count - done);
    const uint8_t* in = static_cast<const uint8_t*>(segment.in) + done * element;
    uint8_t* data = staging_.take(count * wide);
    if (how.widened)
      cpu::widen(op.dtype, in, reinterpret_cast<float*>(data), count);
    else
      std::memcpy(data, in, count * element);
    FARANDOLE_RETURN_IF_ERROR(reduce_round(op, how, data, count));
    if (receives) {
      uint8_t* out = static_cast<uint8_t*>(segment.out) + done * element;
      if (how.widened)
        cpu::narrow(op.dtype, reinterpret_cast<const float*>(data), out, count);
      else
        std::memcpy(out, data, count * element);
    }
    FARANDOLE_RETURN_IF_ERROR(failure());
  }
  return Status::ok();
}

// In place; on the root all of it is the result afterwards.
Status HierarchicalCommunicator::reduce_round(
    const CollectiveOp& op, const Arithmetic& how, uint8_t* data, size_t count) {
  const Layout& layout = parts_.layout;
  const std::vector<size_t> parts = layout.parts(count);
  const size_t before = std::accumulate(parts.begin(), parts.begin() + layout.local, size_t{0});
  uint8_t* own = data + before * size_of(how.dtype);
  const size_t root_host = layout.host_of(static_cast<size_t>(op.root));
  FARANDOLE_RETURN_IF_ERROR(reduce_own_part(op, how, data, own, parts, root_host));
  if (layout.host != root_host)
    return Status::ok();
  CollectiveOp step;
  step.kind = CollectiveKind::Gather;
  step.dtype = how.dtype;
  step.name = op.name;
  step.root = static_cast<int>(layout.local_of(static_cast<size_t>(op.root)));
  return run_local(step, {own, data, parts[layout.local]}, parts);
}

}  // namespace farandole::hierarchical

#pragma once
// Layout: from an agreed tensor to what a communicator needs: element counts of every member and
// the shape of this rank's result. Pure.

#include <cstdint>
#include <span>
#include <vector>

#include "core/agreement.h"
#include "core/base/status.h"
#include "core/request.h"

namespace farandole {

struct Layout {
  std::vector<size_t> counts;         // as CollectiveOp::counts
  size_t segment_count = 0;           // as Segment::count
  std::vector<int64_t> result_shape;  // of this rank's output
  std::vector<int64_t> received;      // alltoall, and gather on its root: rows from each member
  DType dtype = DType::Float32;
  bool has_result = true;
  int64_t value = -1;  // as Outcome::value
};

// Whether `extents`, which the coordinator told, fit this rank's own tensor: as many as there must
// be, none negative, this rank's own as it announced them, and sizes that exist. Fails: PeerLost
// blaming the coordinator's rank; lay_out() must not see them then. `root`: its place.
Status check_extents(
    const Signature& signature,
    const std::vector<int64_t>& extents,
    int index,
    int members,
    int root = 0);

// Whether this rank can stand in for what the coordinator told of another's tensor (StandIn), in a
// process set of these ranks. Fails likewise.
Status check_stand_in(const Signature& signature, std::span<const int> members);

// Requires: check_extents(). `extents` as in ReadyOp; `index` is the own place among `members`
// ranks, `root` that of the root; of a message: among its two ends. Reducescatter gives the first
// (rows mod members) ranks one row more.
Layout lay_out(
    const Signature& signature,
    const std::vector<int64_t>& extents,
    int index,
    int members,
    int root = 0);

}  // namespace farandole

#pragma once
// Layout: from an agreed tensor to what a communicator needs: element counts of every member and
// the shape of this rank's result. Pure.

#include <cstdint>
#include <vector>

#include "core/agreement.h"
#include "core/request.h"

namespace farandole {

struct Layout {
  std::vector<size_t> counts;         // as CollectiveOp::counts
  size_t segment_count = 0;           // as Segment::count
  std::vector<int64_t> result_shape;  // of this rank's output
  std::vector<int64_t> received;      // alltoall: rows from each member
};

// `extents` as in ReadyOp; `index` is the own place among `members` ranks.
// Reducescatter gives the first (rows mod members) ranks one row more.
Layout lay_out(
    const Signature& signature, const std::vector<int64_t>& extents, int index, int members);

}  // namespace farandole

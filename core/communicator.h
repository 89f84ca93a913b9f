#pragma once
// Communicator: the seam to "do". One group of ranks, one kind of device, one way to move bytes.

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/secret.h"
#include "core/base/status.h"
#include "core/base/types.h"
#include "core/control_plane.h"
#include "core/interrupt.h"

namespace farandole {

// One tensor of an operation: contiguous input and output of `count` elements of the op's dtype.
// Requires: in and out do not overlap, or are equal.
struct Segment {
  const void* in = nullptr;
  void* out = nullptr;
  size_t count = 0;
  bool stands_in = false;  // this member has joined, and `in` holds what changes nothing
};

// An operation is data. Indices are places in the group (0 … n-1), not global ranks.
//   Allreduce      segments: any number; in and out have `count` elements each.
//   Broadcast      segments: any number; `in` is read on the root only, `out` written everywhere
//                  (on the root, too, where it differs from `in`).
//   Allgather      one segment; counts[r] elements come from member r; out holds their sum.
//                  in may be the own part of out.
//   Reducescatter  one segment; in holds the sum of counts; member r gets counts[r] elements.
//                  out may be the own part of in.
//   Alltoall       one segment; counts[s*n+d] elements go from member s to member d; in holds the
//                  own row's sum, out the own column's. in and out do not overlap.
//   Barrier        no segment.
//   Reduce         as Allreduce; `out` is written on the root only.
//   Gather         as Allgather; `out` is written on the root only.
//   Scatter        one segment; in is read on the root only and holds the sum of counts; member r
//                  gets counts[r] elements. out may be the own part of in.
// Result of a reducing kind, for each element, over the members x_0 … x_{n-1} in rank order:
//   postscale * (op over r of (prescale * x_r)), Average being Sum divided by `contributors`, or by
//   n where that is 0.
// Half types are computed in float32 and rounded once; scales of integers are applied in double
// and truncated towards zero, saturating; integer sums and products wrap; an Average of integers is
// that of the exact sum, cut likewise: no partial sum may be kept in the dtype. See has_meaning().
// Adasum, of allreduce alone, combines each segment as a whole, whatever it travels with and
// however many bytes a communicator moves at once (collectives/cpu/adasum.h): the same bits over
// each communicator. Members that stand in are left out of it.
struct CollectiveOp {
  CollectiveKind kind = CollectiveKind::Allreduce;
  ReduceOp reduce = ReduceOp::Sum;
  DType dtype = DType::Float32;
  int root = 0;
  double prescale = 1.0;
  double postscale = 1.0;
  size_t contributors = 0;  // members that do not merely stand in
  std::span<const Segment> segments;
  std::span<const size_t> counts;
  std::string_view name;  // of the first tensor, for messages
};

struct Traits {
  const char* name = "";  // "shm", "gloo", …
  // false: the executor packs several segments into one buffer, but for Adasum.
  bool takes_segments = false;
};

// Thread: run() from one thread at a time (its lane); abort() from any thread, at any time.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual Traits traits() const noexcept = 0;
  // CPU: complete on return. GPU: enqueued on the stream. After a failure every later run() fails
  // with the same status. Fails: what abort() gave; PeerLost blaming a member; Timeout where
  // nothing has moved for the configured data_timeout, naming whom it waited for; System.
  virtual Status run(const CollectiveOp& op, StreamHandle stream) = 0;
  // Makes a running and every later run() return `why` within 100 ms. First call wins. Peers may
  // or may not notice; they learn of it through the control plane.
  virtual void abort(Status why) noexcept = 0;
};

// All that a communicator needs to form.
struct GroupSpec {
  std::string tag;  // unique among all groups of the job's lifetime; prefix for store keys
  int index = 0;    // own place in members
  std::vector<Member> members;
  Secret secret;
  std::string job;
  // Ends forming the group; none: nothing does but a deadline.
  std::shared_ptr<const Interrupt> interrupt;
  int local_size = 0;  // ranks of the job on this member's host, here or not; 0: not known
};

}  // namespace farandole

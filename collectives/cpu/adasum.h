#pragma once
// Adasum: an allreduce that adds up what gradients of several ranks have not in common, and
// averages what they have (Maleki et al., "Scaling Distributed Training with Adaptive Summation",
// MLSys 2021, arXiv:2006.02924). Of two vectors
//
//   Adasum(a, b) = (1 - a.b / (2 a.a)) a + (1 - a.b / (2 b.b)) b
//
// which is their sum where they are orthogonal, and either of them where they are equal. A vector
// of zeros (whose product with itself is below the least normal float64) changes nothing. Where a
// product is no finite number, all elements of the result are NaN.
//
// More than two are combined along a binary tree, in the order of the members: neighbours first,
// then what came of neighbouring pairs; what has no neighbour goes on as it is. For powers of two
// this is the tree of the paper and of Horovod, which takes no other numbers (recursive vector
// halving and distance doubling, horovod/common/ops/adasum/adasum.h). Members that stand in are not
// in the tree.
//
// How it is done: not by halving and doubling, but by handing out. Each segment is cut into as many
// parts as there are members. One alltoall brings part r of all members' vectors to member r; for
// each level of the tree an allgather tells everybody the scalar products of all parts, which are
// added up in the order of the parts; and one allgather collects the results. So as many bytes move
// as by halving and doubling, for any number of members, with the operations that a communicator
// has already. Small ones are gathered whole, and everybody computes everything, part by part
// likewise. Hence the same bits on all members, over each communicator, and whatever segments
// travel together.
//
// Half types are kept in float32 until the end, and rounded once; scalar products are float64.

#include <cstddef>
#include <functional>

#include "collectives/cpu/staging.h"
#include "core/base/status.h"
#include "core/communicator.h"

namespace farandole::cpu {

// What Adasum asks of the communicator that it runs on.
struct AdasumGroup {
  size_t members = 1;
  size_t index = 0;
  // Carries out an alltoall or an allgather.
  std::function<Status(const CollectiveOp&)> run;
  // Whether to go on; asked at least every few milliseconds.
  std::function<Status()> going;
};

// Needs memory of the size of the tensors, twice where there are several or a half type. Thread:
// one.
class Adasum {
 public:
  // Requires: check_op(op) is ok. Fails: as run() and going(), or by what they throw; throws
  // NoStaging.
  Status allreduce(const CollectiveOp& op, const AdasumGroup& group);

 private:
  Staging staging_;
};

}  // namespace farandole::cpu

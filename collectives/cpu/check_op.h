#pragma once
// What every communicator of the CPU asks of an operation before it touches memory.

#include <cstddef>

#include "collectives/cpu/reduce.h"
#include "core/communicator.h"

namespace farandole::cpu {

// Fails: InvalidArgument or Unsupported, naming the operation and what is wrong with it.
Status check_op(const CollectiveOp& op, size_t members);

// Whether a reduction may go on from what some members' values gave in the op's dtype. Half types
// would be rounded more than once; the sum behind an Average of integers may not fit.
constexpr bool keeps_partial_results(const CollectiveOp& op) noexcept {
  return !is_half(op.dtype) && !(op.reduce == ReduceOp::Average && is_integer(op.dtype));
}

// The arithmetic that `op` asks for among `members`; of Adasum what is done to each element
// besides: the scales.
ReduceSpec reduce_spec(const CollectiveOp& op, size_t members) noexcept;

}  // namespace farandole::cpu

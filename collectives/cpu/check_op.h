#pragma once
// What every communicator of the CPU asks of an operation before it touches memory.

#include <cstddef>

#include "collectives/cpu/reduce.h"
#include "core/communicator.h"

namespace farandole::cpu {

// Fails: InvalidArgument or Unsupported, naming the operation and what is wrong with it.
Status check_op(const CollectiveOp& op, size_t members);

// The arithmetic that `op` asks for among `members`.
ReduceSpec reduce_spec(const CollectiveOp& op, size_t members) noexcept;

}  // namespace farandole::cpu

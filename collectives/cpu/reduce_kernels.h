#pragma once
// What reduce.cc needs of the kernels, which are compiled once per instruction set (floats,
// halves, integers) or once (the rest).

#include <cstddef>
#include <span>

#include "core/base/types.h"

namespace farandole::cpu {

// Looked at by scaled kernels only.
struct Scales {
  double prescale = 1;
  double postscale = 1;
  size_t divisor = 1;  // more than 1 for Average
};

// `count` elements of each source, reduced to dst and, where given, to `second`, too.
struct Work {
  Scales scales;
  void* dst = nullptr;
  std::span<const void* const> sources;
  size_t count = 0;
  void* second = nullptr;  // scalar kernels know none
  bool streams = false;    // to `second`, around the caches
};

using Kernel = void (*)(const Work&);

// The SIMD kernel for a dtype of the group and a real operation (Average is Sum with a divisor), or
// null where the group has none.
Kernel float_kernel(DType dtype, ReduceOp op, bool scaled);
Kernel half_kernel(DType dtype, ReduceOp op, bool scaled);
Kernel integer_kernel(DType dtype, ReduceOp op);  // unscaled only
// For what has no SIMD kernel.
Kernel scalar_kernel(DType dtype, ReduceOp op, bool scaled);  // integers, bool, complex products

}  // namespace farandole::cpu

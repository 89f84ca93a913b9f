#pragma once
// An independent reference for reductions: plain loops in float64 (exact integers), sharing no code
// with the kernels it judges.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/types.h"

namespace farandole::testing {

using Bytes = std::vector<uint8_t>;

// `count` elements that depend on dtype, op and seed alone. Values suit the operation: factors of
// products stay near 1, so that nothing overflows; integers reach their limits.
Bytes make_values(DType dtype, ReduceOp op, size_t count, uint64_t seed);

struct Reduction {
  DType dtype = DType::Float32;
  ReduceOp op = ReduceOp::Sum;
  double prescale = 1;
  double postscale = 1;
};

// Compares elements [0, count) of `result` with the reduction of elements [offset, offset+count) of
// every source. Says where the first difference lies, or nothing. Integers and bool must be equal,
// floats as near as `sources` roundings allow. For Adasum see adasum.h.
std::optional<std::string> difference(
    const Reduction& reduction,
    const std::vector<Bytes>& sources,
    size_t offset,
    const void* result,
    size_t count);

// A float16 or bfloat16 as a double, by its definition.
double decode_half(DType dtype, uint16_t bits);
// The nearest float16 or bfloat16, ties to even, found by looking at the neighbours.
uint16_t encode_half(DType dtype, double value);

}  // namespace farandole::testing

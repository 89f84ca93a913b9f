#pragma once
// The identity element of a reduction: what a rank that has joined puts in, so that the others get
// what they would among themselves. Pure.

#include <array>
#include <cstddef>

#include "core/base/types.h"

namespace farandole {

inline constexpr size_t kMostElementBytes = 16;
// The first size_of(dtype) bytes count.
using Element = std::array<std::byte, kMostElementBytes>;

// The value e for which op(prescale * e, x) is x for every x = prescale * y, bit for bit: of a
// floating-point sum the zero that comes out negative, of Min the end of the dtype that is scaled
// to the largest value. But for infinite parts of complex numbers, which no product
// leaves alone, and the sign of a zero where Min and Max are scaled by 0.
// Requires: has_meaning(op, dtype); prescale is finite, and 1 for Product and for bool.
Element identity_element(ReduceOp op, DType dtype, double prescale) noexcept;

}  // namespace farandole

#pragma once
// The arithmetic of Adasum on two vectors, compiled once per instruction set.

#include <cstddef>

#include "core/base/types.h"

namespace farandole::cpu {

// Scalar products of two vectors with each other and with themselves.
struct Products {
  double ab = 0, aa = 0, bb = 0;
};

// In float64. The same bits whatever the instruction set; they depend on where the vectors begin
// and end. Requires: dtype is Float32 or Float64.
Products products(DType dtype, const void* a, const void* b, size_t count);

// a = of_a * a + of_b * b, computed in float64 and rounded once. Requires: as products(); the
// ranges do not overlap.
void add_scaled(DType dtype, double of_a, void* a, double of_b, const void* b, size_t count);

}  // namespace farandole::cpu

#pragma once
// Half types to float32 and back, for whoever accumulates beyond one call of reduce().

#include <cstddef>

#include "core/base/types.h"

namespace farandole::cpu {

// Requires: is_half(half); the ranges do not overlap. Exact.
void widen(DType half, const void* from, float* to, size_t count);
// Requires: as widen(). Rounds to nearest, ties to even.
void narrow(DType half, const float* from, void* to, size_t count);

}  // namespace farandole::cpu

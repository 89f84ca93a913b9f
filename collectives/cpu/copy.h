#pragma once
// memcpy with a choice of how the stores are done.

#include <cstddef>

#include "collectives/cpu/reduce.h"

namespace farandole::cpu {

// Requires: the ranges do not overlap. What NonTemporal wrote is ordered before any later store of
// this thread.
void copy(void* to, const void* from, size_t bytes, StorePolicy policy);

}  // namespace farandole::cpu

#pragma once
// memcpy with a choice of how the stores are done.

#include <cstddef>

#include "collectives/cpu/reduce.h"

namespace farandole::cpu {

// Requires: the ranges do not overlap. After NonTemporal the caller calls finish_stores() before it
// tells others that the data is there.
void copy(void* to, const void* from, size_t bytes, StorePolicy policy);

// Orders NonTemporal stores of this thread before all its later stores.
void finish_stores();

}  // namespace farandole::cpu

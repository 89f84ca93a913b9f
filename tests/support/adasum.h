#pragma once
// An independent reference for Adasum: its definition, in float64, from the root of the tree.

#include <optional>
#include <string>
#include <vector>

#include "tests/support/arithmetic.h"

namespace farandole::testing {

// Of vectors of equal length, at least one.
std::vector<double> adasum(const std::vector<std::vector<double>>& vectors);

// Compares a tensor, elements [0, count) of `result`, with what Adasum makes of elements [offset,
// offset+count) of every source. Says where the first difference lies, or nothing.
std::optional<std::string> adasum_difference(
    const Reduction& reduction,
    const std::vector<Bytes>& sources,
    size_t offset,
    const void* result,
    size_t count);

}  // namespace farandole::testing

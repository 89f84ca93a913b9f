#pragma once
// search_for: whether the exhaustive search finds anything wrong with the protocol as it is.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace farandole::mutation {

// What a net needed until it found something wrong.
struct Catch {
  uint64_t states = 0;
  std::string where;
  std::string wrong;
};

// Searches with no fault, one fault and, where there is a bug, pairs of faults, until it finds
// something.
std::optional<Catch> search_for(std::string_view bug);

}  // namespace farandole::mutation

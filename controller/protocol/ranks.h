#pragma once
// How lists of ranks are written for people.

#include <string>
#include <vector>

namespace farandole::control {

// "rank 3", "ranks 1-3 and 7"; of a very long list the beginning. Requires: ascending, not empty.
std::string rank_list(const std::vector<int>& ranks);

}  // namespace farandole::control

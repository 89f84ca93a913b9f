#pragma once
// The way that the name of a message tells, as tests work it out for themselves.

#include <charconv>
#include <string_view>

#include "core/way.h"

namespace farandole::testing {

// Without ends where it tells none.
inline Way way_of_name(std::string_view name) {
  if (!tells_way(name))
    return {};
  const size_t arrow = name.rfind("->");
  const size_t space = name.rfind(' ');
  Way way;
  std::from_chars(name.data() + space + 1, name.data() + arrow, way.from);
  std::from_chars(name.data() + arrow + 2, name.data() + name.size(), way.to);
  return way;
}

}  // namespace farandole::testing

#pragma once
// The group that the name of a member tells, as tests work it out for themselves.

#include <charconv>
#include <string>
#include <string_view>

#include "core/way.h"

namespace farandole::testing {

struct GroupOfName {
  std::string group;   // the name itself, where it is the name of no member
  uint32_t place = 0;  // 0: of one tensor
  uint32_t count = 0;
};

inline GroupOfName group_of_name(std::string_view name) {
  const size_t way = tells_way(name) ? name.rfind(' ') : name.size();
  const std::string_view front = name.substr(0, way);
  const size_t open = front.rfind(" [");
  const size_t slash = front.rfind('/');
  if (!front.ends_with(']') || open == std::string_view::npos || slash == std::string_view::npos)
    return {std::string(name)};
  GroupOfName out{std::string(front.substr(0, open)).append(name.substr(way))};
  std::from_chars(front.data() + open + 2, front.data() + slash, out.place);
  std::from_chars(front.data() + slash + 1, front.data() + front.size(), out.count);
  return out;
}

}  // namespace farandole::testing

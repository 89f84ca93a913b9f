#pragma once
// Where a timeline goes: what may stand in braces in its path.

#include <string_view>

namespace farandole {

// Stands in a timeline's path for the rank's number.
inline constexpr std::string_view kRankPlace = "{rank}";

// Whether nothing else stands in braces: what is meant for a place and is none would become part of
// the file's name.
inline bool has_only_known_places(std::string_view path) noexcept {
  for (size_t at = path.find('{'); at != std::string_view::npos; at = path.find('{', at + 1)) {
    if (!path.substr(at).starts_with(kRankPlace) && path.find('}', at) != std::string_view::npos)
      return false;
  }
  return true;
}

}  // namespace farandole

#include "core/member_name.h"

#include <charconv>

#include "core/base/format.h"
#include "core/way.h"

namespace farandole {
namespace {

constexpr std::string_view kBegin = " [";

// Only as it is written by name_of_member(): one member has one name.
std::optional<uint32_t> number(std::string_view text) noexcept {
  uint32_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size() || text.front() == '0')
    return std::nullopt;
  return value;
}

// Where the way begins; the end where the name tells none.
size_t way_in(std::string_view name) noexcept {
  return tells_way(name) ? name.rfind(' ') : name.size();
}

}  // namespace

std::optional<MemberName> member_name(std::string_view full) noexcept {
  const size_t end = way_in(full);
  const std::string_view name = full.substr(0, end);
  if (!name.ends_with(']'))
    return std::nullopt;
  const size_t begin = name.rfind(kBegin);
  if (begin == std::string_view::npos || begin == 0)
    return std::nullopt;
  const size_t digits = begin + kBegin.size();
  const std::string_view text = name.substr(digits, name.size() - 1 - digits);
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos)
    return std::nullopt;
  const std::optional<uint32_t> place = number(text.substr(0, slash));
  const std::optional<uint32_t> count = number(text.substr(slash + 1));
  const std::string_view before = name.substr(0, begin);
  if (!place || !count || *place > *count || tells_way(before))
    return std::nullopt;
  return MemberName{before, full.substr(end), *place, *count};
}

std::string name_of_member(std::string_view group, uint32_t place, uint32_t count) {
  const size_t end = way_in(group);
  return fmt::format("{}{}{}/{}]{}", group.substr(0, end), kBegin, place, count, group.substr(end));
}

}  // namespace farandole

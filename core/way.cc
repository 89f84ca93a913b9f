#include "core/way.h"

#include <cctype>

#include "core/base/format.h"

namespace farandole {
namespace {

constexpr std::string_view kArrow = "->";

// What is left of the name without the digits at its end; the whole where there are none.
std::string_view without_number(std::string_view name) noexcept {
  std::string_view left = name;
  while (!left.empty() && std::isdigit(static_cast<unsigned char>(left.back())) != 0)
    left.remove_suffix(1);
  return left;
}

}  // namespace

Way way_of(const Signature& s) noexcept {
  if (s.kind != CollectiveKind::Message || s.operand.empty())
    return {};
  return {s.root, static_cast<int>(s.operand.front())};
}

std::string with_way(std::string_view name, Way way) {
  return fmt::format("{} {}{}{}", name, way.from, kArrow, way.to);
}

bool tells_way(std::string_view name) noexcept {
  const std::string_view before_to = without_number(name);
  if (before_to.size() == name.size() || !before_to.ends_with(kArrow))
    return false;
  const std::string_view from = before_to.substr(0, before_to.size() - kArrow.size());
  const std::string_view before_from = without_number(from);
  return before_from.size() < from.size() && before_from.ends_with(' ');
}

bool tells_way(std::string_view name, Way way) {
  return name.ends_with(with_way("", way));
}

}  // namespace farandole

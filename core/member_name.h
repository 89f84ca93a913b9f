#pragma once
// MemberName: how the members of a group of tensors are called. The group's own name is in flight
// as long as one of them is, for this group alone: so that ranks that mean unlike groups by one
// name can be told (controller/protocol/readiness.h).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace farandole {

// `grad [2/3]` is of group "grad"; `grad [2/3] 0->1`, a message (way.h), of "grad 0->1".
struct MemberName {
  std::string_view before;  // the place
  std::string_view way;     // behind it
  uint32_t place = 1;       // from 1 on
  uint32_t count = 1;

  std::string group() const { return std::string(before).append(way); }
};

// Nothing where it is the name of no member.
std::optional<MemberName> member_name(std::string_view name) noexcept;
std::string name_of_member(std::string_view group, uint32_t place, uint32_t count);

}  // namespace farandole

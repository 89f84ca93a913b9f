#include "tests/fuzz/names.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "core/member_name.h"

namespace farandole::fuzz {
namespace {

constexpr const char* kNames[] = {"a", "b", "c", "grad/1"};
constexpr uint32_t kCounts[] = {1, 2, 2, 3, 4, std::numeric_limits<uint32_t>::max()};

// What stands behind a group's name is none of these: a member has one name.
constexpr const char* kNoMember[] = {
    " [0/2]",
    " [3/2]",
    " [01/2]",
    " [1/02]",
    " [+1/2]",
    " [1/4294967296]",
    " [99999999999999999999/1]",
    " [1/2/3]",
    " [/2]",
    " [1/]",
    " [/]",
    " [1]",
    " []",
    " [1/2",
    " 1/2]",
    "[1/2]",
    " [ 1/2]",
    " [1/2] ",
    " [1/x]"};

}  // namespace

std::string tensor_name(Input& in) {
  const uint8_t way = in.byte();
  if (way >= 250)
    return in.text(40);
  const std::string name = in.one_of(kNames);
  if (way < 200)
    return name;
  // A group may be called like a member of another one.
  return member_of(in, way < 242 ? name : member_of(in, way < 248 ? name : ""));
}

std::string member_of(Input& in, const std::string& group) {
  if (in.byte() >= 208)
    return group + in.one_of(kNoMember);
  const uint32_t count = in.one_of(kCounts);
  const auto place = static_cast<uint32_t>(1 + in.below(std::min<size_t>(count, 4)));
  return name_of_member(group, in.byte() < 250 ? place : count, count);
}

std::vector<std::string> names_of(const std::string& name, uint32_t count) {
  std::vector<std::string> names;
  if (count == 0)
    names.push_back(name);
  for (uint32_t place = 1; place <= count; ++place)
    names.push_back(name_of_member(name, place, count));
  return names;
}

bool may_claim(const InFlight& in_flight, const TensorKey& key) {
  const std::string& name = key.second;
  const std::optional<MemberName> member = member_name(name);
  const auto clashes = [&](const std::string& other_name) {
    const std::optional<MemberName> other = member_name(other_name);
    return other_name == name || (other && other->group() == name) ||
           (member && member->group() == other_name) ||
           (member && other && member->group() == other->group() && member->count != other->count);
  };
  return std::ranges::none_of(in_flight, [&](const auto& entry) {
    return entry.first.first == key.first && clashes(entry.first.second);
  });
}

}  // namespace farandole::fuzz

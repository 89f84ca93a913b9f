// How a hierarchy sees the members of a group; and the conversion it widens half types with.
#include "collectives/hierarchical/layout.h"

#include <gtest/gtest.h>

#include <cmath>

#include "collectives/cpu/convert.h"
#include "tests/support/arithmetic.h"

namespace farandole::testing {
namespace {

using Places = std::vector<size_t>;

GroupSpec group_on(const std::vector<std::string>& hosts, int index) {
  GroupSpec group;
  group.tag = "t";
  group.index = index;
  for (size_t i = 0; i < hosts.size(); ++i)
    group.members.push_back({.rank = static_cast<int>(10 + i), .host = hosts[i]});
  return group;
}

std::vector<int> ranks(const GroupSpec& group) {
  std::vector<int> ranks;
  for (const Member& member : group.members) ranks.push_back(member.rank);
  return ranks;
}

TEST(Layout, AlikeHostsHaveOneStreamForEachPlace) {
  GroupSpec group = group_on({"a", "b", "a", "b"}, 3);
  group.local_size = 7;
  const auto layout = hierarchical::make_layout(group);
  EXPECT_EQ(layout.hosts, (std::vector<Places>{{0, 2}, {1, 3}}));
  EXPECT_EQ(layout.host, 1u);
  EXPECT_EQ(layout.local, 1u);
  EXPECT_EQ(layout.streams, 2u);
  EXPECT_EQ(layout.carried(1, 0), Places{2});
  EXPECT_EQ(layout.parts(7), (Places{4, 3}));
  const GroupSpec local = hierarchical::local_group(group, layout);
  EXPECT_EQ(local.tag, "t/host/1");
  EXPECT_EQ(ranks(local), (std::vector<int>{11, 13}));
  EXPECT_EQ(local.index, 1);
  EXPECT_EQ(local.local_size, 7);
  const GroupSpec across = hierarchical::across_group(group, layout);
  EXPECT_EQ(across.tag, "t/across/1");
  EXPECT_EQ(ranks(across), (std::vector<int>{12, 13}));
  EXPECT_EQ(across.index, 1);
}

TEST(Layout, OtherHostsHaveOneStream) {
  const auto layout = hierarchical::make_layout(group_on({"a", "a", "b"}, 1));
  EXPECT_EQ(layout.streams, 1u);
  EXPECT_FALSE(layout.in_stream());
  EXPECT_EQ(layout.carried(0, 0), (Places{0, 1}));
  EXPECT_EQ(layout.parts(7), (Places{7, 0}));
}

TEST(Convert, GivesEveryHalfBack) {
  for (const DType dtype : {DType::Float16, DType::Bfloat16}) {
    std::vector<uint16_t> halves(65536), back(halves.size());
    for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
    std::vector<float> wide(halves.size());
    cpu::widen(dtype, halves.data(), wide.data(), halves.size());
    cpu::narrow(dtype, wide.data(), back.data(), halves.size());
    for (size_t i = 0; i < halves.size(); ++i) {
      if (std::isnan(wide[i]))
        continue;  // only quietened
      ASSERT_EQ(wide[i], decode_half(dtype, halves[i]));
      ASSERT_EQ(back[i], halves[i]);
    }
  }
}

TEST(Convert, RoundsToTheNearestAtAnyLength) {
  for (const DType dtype : {DType::Float16, DType::Bfloat16}) {
    for (size_t count = 0; count < 40; ++count) {
      std::vector<float> wide(count);
      for (size_t i = 0; i < count; ++i)
        wide[i] = 1.0F + static_cast<float>(i) * 0.00048828125F / 3;
      std::vector<uint16_t> halves(count + 1, 0xabcd);
      cpu::narrow(dtype, wide.data(), halves.data(), count);
      for (size_t i = 0; i < count; ++i)
        EXPECT_EQ(halves[i], encode_half(dtype, wide[i])) << i << " of " << count;
      EXPECT_EQ(halves[count], 0xabcd);
    }
  }
}

}  // namespace
}  // namespace farandole::testing

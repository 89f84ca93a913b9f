#include "core/topology.h"

#include <gtest/gtest.h>

namespace farandole {
namespace {

std::vector<Member> members(const std::vector<std::string>& hosts) {
  std::vector<Member> list;
  for (size_t i = 0; i < hosts.size(); ++i)
    list.push_back({.rank = static_cast<int>(i), .host = hosts[i]});
  return list;
}

TEST(Topology, OneRank) {
  EXPECT_EQ(topology_of(0, members({"a"})), Topology{});
}

TEST(Topology, RanksOfAHostNeedNotBeNeighbours) {
  const auto job = members({"a", "b", "a", "b"});
  EXPECT_EQ(
      topology_of(2, job),
      (Topology{
          .rank = 2,
          .size = 4,
          .local_rank = 1,
          .local_size = 2,
          .cross_rank = 0,
          .cross_size = 2}));
  EXPECT_EQ(
      topology_of(3, job),
      (Topology{
          .rank = 3,
          .size = 4,
          .local_rank = 1,
          .local_size = 2,
          .cross_rank = 1,
          .cross_size = 2}));
}

TEST(Topology, UnequalHostsAreNotHomogeneous) {
  EXPECT_EQ(
      topology_of(1, members({"a", "a", "b"})),
      (Topology{
          .rank = 1,
          .size = 3,
          .local_rank = 1,
          .local_size = 2,
          .cross_rank = 0,
          .cross_size = 1,
          .homogeneous = false}));
}

}  // namespace
}  // namespace farandole

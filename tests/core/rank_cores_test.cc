#include "core/base/rank_cores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/cgroup.h"

namespace farandole {
namespace {

using ::testing::ElementsAre;
using ::testing::Optional;

TEST(RankCores, AreReadAsTheyAreWritten) {
  EXPECT_THAT(parse_core_list("0"), Optional(ElementsAre(0)));
  EXPECT_THAT(parse_core_list("7,0,1048575"), Optional(ElementsAre(7, 0, 1048575)));
  EXPECT_EQ(core_list_text({}), "");
  EXPECT_EQ(core_list_text({7, 0, 7}), "7,0,7");
  for (const char* const text : {"", ",", "0,", ",0", "0,,1", "0 ,1", "-1", "+1", "1048576", "0-3"})
    EXPECT_EQ(parse_core_list(text), std::nullopt) << text;
  std::string long_list = "0";
  for (int i = 1; i < 65536; ++i) long_list += ",0";
  EXPECT_TRUE(parse_core_list(long_list));
  EXPECT_EQ(parse_core_list(long_list + ",0"), std::nullopt);
}

TEST(RankCores, EachLocalRankHasItsOwn) {
  EXPECT_EQ(thread_core({4, 2}, 1, 2).value(), 2);
  EXPECT_EQ(thread_core({4, 2, 9}, 0, 2).value(), 4);
  const auto missing = thread_core({4, 2}, 0, 3);
  EXPECT_EQ(missing.status().code(), Code::InvalidArgument);
  EXPECT_EQ(
      missing.status().message(),
      "--thread-affinity (FARANDOLE_THREAD_AFFINITY): 4,2 names 2 cores, but 3 ranks run "
      "on this host; name one for each");
}

TEST(RankCores, AreCountedWhereNobodySaysHowMany) {
  Config config;
  EXPECT_EQ(cores_for_ranks(config, 2), usable_cores());
  config.host_cores = 4711;
  EXPECT_EQ(cores_for_ranks(config, 2), 4711);
  config.thread_affinity = {3, 1};
  EXPECT_EQ(cores_for_ranks(config, 2), 4711);
}

TEST(RankCores, AreNotEnoughWhereRanksShareOne) {
  Config config;
  config.host_cores = 4711;
  config.thread_affinity = {3, 1, 3};
  EXPECT_EQ(cores_for_ranks(config, 3), 0);
  EXPECT_EQ(cores_for_ranks(config, 2), 4711) << "no rank of this host is bound to the third";
}

}  // namespace
}  // namespace farandole

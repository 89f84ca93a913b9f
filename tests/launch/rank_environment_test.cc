#include "controller/launch/rank_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace farandole::launch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Placement kPlace{5, 8, 1, 4, 1, 2, "node"};
const JobIdentity kJob{"j1", "127.0.0.1:4242", "/proc/1/fd/9"};

TEST(Environment, ReadsABlock) {
  const char* const block[] = {"A=1", "EMPTY=", "WITH=a=b", "odd", "=x", nullptr};
  const Environment env(block);
  EXPECT_THAT(env.entries(), ElementsAre("A=1", "EMPTY=", "WITH=a=b"));
  EXPECT_EQ(env.find("EMPTY"), "");
  EXPECT_EQ(env.find("odd"), std::nullopt);
}

TEST(RankEnvironment, GivesBothFamiliesOfNames) {
  const Environment env = rank_environment({}, kPlace, kJob, {16});
  for (const std::string family : {"FARANDOLE_", "HOROVOD_"}) {
    EXPECT_EQ(env.find(family + "RANK"), "5");
    EXPECT_EQ(env.find(family + "SIZE"), "8");
    EXPECT_EQ(env.find(family + "LOCAL_RANK"), "1");
    EXPECT_EQ(env.find(family + "LOCAL_SIZE"), "4");
    EXPECT_EQ(env.find(family + "CROSS_RANK"), "1");
    EXPECT_EQ(env.find(family + "CROSS_SIZE"), "2");
  }
  EXPECT_EQ(env.find("FARANDOLE_CONTROLLER"), "127.0.0.1:4242");
  EXPECT_EQ(env.find("FARANDOLE_JOB"), "j1");
  EXPECT_EQ(env.find("FARANDOLE_SECRET_FILE"), "/proc/1/fd/9");
  EXPECT_EQ(env.find("HOROVOD_HOSTNAME"), "node");
}

TEST(RankEnvironment, SharesTheCoresOut) {
  const std::pair<double, const char*> cases[] = {{16, "4"}, {15.9, "3"}, {4, "1"}, {0.5, "1"}};
  for (const auto& [cores, threads] : cases)
    EXPECT_EQ(rank_environment({}, kPlace, kJob, {cores}).find("OMP_NUM_THREADS"), threads);
  const std::pair<double, const char*> of_bound[] = {{1, "1"}, {2.5, "2"}, {8, "4"}};
  for (const auto& [own, threads] : of_bound)
    EXPECT_EQ(rank_environment({}, kPlace, kJob, {16, own}).find("OMP_NUM_THREADS"), threads);
}

TEST(RankEnvironment, TellsBoundRanksAloneHowManyCoresTheyShare) {
  Environment base;
  base.set("FARANDOLE_HOST_CORES", "99");
  const char* const name = "FARANDOLE_HOST_CORES";
  EXPECT_EQ(rank_environment(base, kPlace, kJob, {16}).find(name), std::nullopt);
  EXPECT_EQ(rank_environment(base, kPlace, kJob, {16, 2}).find(name), "16");
  EXPECT_EQ(rank_environment(base, kPlace, kJob, {3.9, 1}).find(name), "3");
  EXPECT_EQ(rank_environment(base, kPlace, kJob, {0.5, 1}).find(name), "0");
}

TEST(RankEnvironment, LeavesTheUsersChoices) {
  Environment base;
  base.set("OMP_NUM_THREADS", "7");
  base.set("PYTHONUNBUFFERED", "");
  base.set("FARANDOLE_RANK", "99");
  base.set("KEEP", "me");
  const Environment env = rank_environment(base, kPlace, kJob, {16});
  EXPECT_EQ(env.find("OMP_NUM_THREADS"), "7");
  EXPECT_EQ(env.find("PYTHONUNBUFFERED"), "");
  EXPECT_EQ(env.find("FARANDOLE_RANK"), "5");
  EXPECT_EQ(env.find("KEEP"), "me");
}

TEST(Settings, AreCheckedBeforeAnythingStarts) {
  Environment env;
  env.set("FARANDOLE_FUSION_BYTES", "abc");
  EXPECT_THAT(
      check_settings(env).message(), HasSubstr("FARANDOLE_FUSION_BYTES=\"abc\" is not valid"));
  Environment horovod;
  horovod.set("HOROVOD_FUSION_THRESHOLD", "-3");
  EXPECT_THAT(check_settings(horovod).message(), HasSubstr("HOROVOD_FUSION_THRESHOLD=\"-3\""));
}

TEST(Settings, SayWhereThreadsRun) {
  Environment env;
  EXPECT_THAT(thread_cores(env), IsEmpty());
  env.set("HOROVOD_THREAD_AFFINITY", "1,0");
  EXPECT_THAT(thread_cores(env), ElementsAre(1, 0));
  env.set("FARANDOLE_THREAD_AFFINITY", "3");
  EXPECT_THAT(thread_cores(env), ElementsAre(3));
}

TEST(Settings, OfAnOuterJobDoNotCount) {
  Environment env;
  env.set("FARANDOLE_RANK", "7");
  env.set("FARANDOLE_CONTROLLER", "what ever");
  env.set("FARANDOLE_HOST_CORES", "many");
  EXPECT_TRUE(check_settings(env).is_ok());
}

}  // namespace
}  // namespace farandole::launch

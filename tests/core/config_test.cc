#include "core/base/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace farandole {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Config::Lookup environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  };
}

TEST(Config, DefaultsDescribeAJobOfOne) {
  const Result<Config> config = Config::from(environment({}));
  ASSERT_TRUE(config);
  EXPECT_EQ(config.value().size, 1);
  EXPECT_EQ(config.value().rank, 0);
}

TEST(Config, ReadsNumbersDurationsWordsAndText) {
  const Result<Config> config = Config::from(environment(
      {{"FARANDOLE_RANK", "2"},
       {"FARANDOLE_SIZE", "4"},
       {"FARANDOLE_FUSION_BYTES", "1024"},
       {"FARANDOLE_HEARTBEAT_TIMEOUT", "1.5"},
       {"FARANDOLE_COMMUNICATOR", "Gloo"},
       {"HOROVOD_THREAD_AFFINITY", "8,0"},
       {"FARANDOLE_CONTROLLER", "127.0.0.1:4711"}}));
  ASSERT_TRUE(config) << config.status().message();
  EXPECT_EQ(config.value().rank, 2);
  EXPECT_EQ(config.value().fusion_bytes, 1024);
  EXPECT_EQ(config.value().heartbeat_timeout, 1500ms);
  EXPECT_EQ(config.value().communicator, CommunicatorChoice::Gloo);
  EXPECT_THAT(config.value().thread_affinity, ElementsAre(8, 0));
  EXPECT_EQ(config.value().controller, "127.0.0.1:4711");
}

TEST(Config, HorovodsNameIsReadWhereOursIsAbsent) {
  const auto both = Config::from(
      environment({{"HOROVOD_FUSION_THRESHOLD", "7"}, {"FARANDOLE_FUSION_BYTES", "9"}}));
  const auto theirs = Config::from(environment({{"HOROVOD_FUSION_THRESHOLD", "7"}}));
  EXPECT_EQ(both.value().fusion_bytes, 9);
  EXPECT_EQ(theirs.value().fusion_bytes, 7);
}

TEST(Config, HorovodsSwitchesOfAHierarchyChooseItWhereNothingElseIsChosen) {
  const auto chosen = [](std::map<std::string, std::string> variables) {
    const auto config = Config::from(environment(std::move(variables)));
    EXPECT_TRUE(config) << config.status().message();
    return config.value().communicator;
  };
  const std::string reduce = "HOROVOD_HIERARCHICAL_ALLREDUCE";
  const std::string gather = "HOROVOD_HIERARCHICAL_ALLGATHER";
  for (const std::string& one : {reduce, gather}) {
    EXPECT_EQ(chosen({{one, "1"}}), CommunicatorChoice::Hierarchical);
    EXPECT_EQ(chosen({{one, "2"}}), CommunicatorChoice::Hierarchical);
    EXPECT_EQ(chosen({{one, "0"}}), CommunicatorChoice::Auto);
    EXPECT_EQ(chosen({{one, "-1"}}), CommunicatorChoice::Auto);
    for (const char* const own : {"auto", "flat"})
      EXPECT_NE(
          chosen({{one, "1"}, {"FARANDOLE_COMMUNICATOR", own}}), CommunicatorChoice::Hierarchical);
  }
  EXPECT_EQ(chosen({{reduce, "0"}, {gather, "1"}}), CommunicatorChoice::Hierarchical);
  EXPECT_EQ(chosen({{reduce, "1"}, {gather, "0"}}), CommunicatorChoice::Hierarchical);
}

struct BadCase {
  const char* name;
  const char* value;
  const char* message;
};

class ConfigRefuses : public ::testing::TestWithParam<BadCase> {};

TEST_P(ConfigRefuses, NamesVariableValueAndWhatIsWanted) {
  const auto [name, value, message] = GetParam();
  const Result<Config> config = Config::from(environment({{name, value}}));
  ASSERT_FALSE(config);
  EXPECT_EQ(config.status().code(), Code::InvalidArgument);
  EXPECT_EQ(config.status().message(), message);
}

INSTANTIATE_TEST_SUITE_P(
    Values,
    ConfigRefuses,
    ::testing::Values(
        BadCase{
            "FARANDOLE_FUSION_BYTES",
            "abc",
            "FARANDOLE_FUSION_BYTES=\"abc\" is not valid: a whole number from 0 to 68719476736 is "
            "wanted"},
        BadCase{
            "HOROVOD_CACHE_CAPACITY",
            "-1",
            "HOROVOD_CACHE_CAPACITY=\"-1\" is not valid: a whole number from 0 to 16777216 is "
            "wanted"},
        BadCase{
            "FARANDOLE_START_TIMEOUT",
            "nan",
            "FARANDOLE_START_TIMEOUT=\"nan\" is not valid: a number of seconds from 0.1 to 86400 "
            "is wanted"},
        BadCase{
            "FARANDOLE_COMMUNICATOR",
            "mpi",
            "FARANDOLE_COMMUNICATOR=\"mpi\" is not valid: one of auto shm gloo hierarchical flat "
            "is "
            "wanted"},
        BadCase{
            "FARANDOLE_CONTROLLER",
            "nowhere",
            "FARANDOLE_CONTROLLER=\"nowhere\" is not valid: host:port is wanted"},
        BadCase{
            "FARANDOLE_JOB",
            "a b\x1b[31m",
            "FARANDOLE_JOB=\"a b\\x1b[31m\" is not valid: a word of 1 to 64 letters, digits, '_' "
            "and '-' is "
            "wanted"},
        BadCase{
            "FARANDOLE_BIND",
            "0.0.0.0",
            "FARANDOLE_BIND=\"0.0.0.0\" is not valid: one address of this host (not 0.0.0.0 or ::) "
            "is "
            "wanted"},
        BadCase{
            "HOROVOD_THREAD_AFFINITY",
            "0-3",
            "HOROVOD_THREAD_AFFINITY=\"0-3\" is not valid: cores, one for each rank of a host, "
            "such "
            "as 0,2 is wanted"},
        BadCase{
            "HOROVOD_HIERARCHICAL_ALLGATHER",
            "yes",
            "HOROVOD_HIERARCHICAL_ALLGATHER=\"yes\" is not valid: a whole number is wanted; above "
            "0 "
            "it means FARANDOLE_COMMUNICATOR=hierarchical"},
        BadCase{"FARANDOLE_RANK", "1", "FARANDOLE_RANK=1 is not below FARANDOLE_SIZE=1"},
        BadCase{
            "FARANDOLE_HEARTBEAT_TIMEOUT",
            "0.6",
            "FARANDOLE_HEARTBEAT_TIMEOUT=0.6 is less than four times "
            "FARANDOLE_HEARTBEAT_INTERVAL=0.25"}));

TEST(Config, UnknownNamesAreNamedWithTheNearestKnownOne) {
  EXPECT_THAT(
      Config::unknown_names({"FARANDOLE_FUSION_BYTE", "PATH", "FARANDOLE_RANK"}),
      ElementsAre("unknown variable FARANDOLE_FUSION_BYTE is ignored; did you mean "
                  "FARANDOLE_FUSION_BYTES?"));
  EXPECT_THAT(
      Config::unknown_names({"FARANDOLE_NCCL_RINGS_PER_NODE"}),
      ElementsAre("unknown variable FARANDOLE_NCCL_RINGS_PER_NODE is ignored"));
  EXPECT_THAT(
      Config::unknown_names({"FARANDOLE_HEARTBEAT_TIME"}),
      ElementsAre("unknown variable FARANDOLE_HEARTBEAT_TIME is ignored; did you mean "
                  "FARANDOLE_HEARTBEAT_TIMEOUT?"));
  // What all names begin with makes none of them near.
  EXPECT_THAT(
      Config::unknown_names({"FARANDOLE_FOO", "FARANDOLE_"}),
      ElementsAre(
          "unknown variable FARANDOLE_FOO is ignored", "unknown variable FARANDOLE_ is ignored"));
  EXPECT_THAT(Config::unknown_names({"HOME"}), IsEmpty());
  // The launcher's, for programs.
  EXPECT_THAT(Config::unknown_names({"FARANDOLE_LOCAL_RANK", "FARANDOLE_CROSS_SIZE"}), IsEmpty());
}

// What a process says that another launcher has started; "" where it says nothing.
std::string warned(std::map<std::string, std::string> variables) {
  return foreign_launcher(environment(std::move(variables))).value_or("");
}

TEST(Config, AForeignLauncherIsNamedOnceWhereEachOfItsProcessesIsAJobOfOne) {
  const std::string rest =
      "=4, but FARANDOLE_SIZE is not set: each of these processes is a job of one rank; start them "
      "with farandolerun -np 4, or set FARANDOLE_RANK, _SIZE, _CONTROLLER, _JOB and _SECRET_FILE "
      "in each";
  const auto launchers = {
      std::pair{"WORLD_SIZE", "RANK"},
      std::pair{"HOROVOD_SIZE", "HOROVOD_RANK"},
      std::pair{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
      std::pair{"PMI_SIZE", "PMI_RANK"},
      std::pair{"SLURM_STEP_NUM_TASKS", "SLURM_PROCID"}};
  for (const auto& [size, rank] : launchers) {
    EXPECT_EQ(warned({{size, "4"}, {rank, "0"}}), size + rest);
    EXPECT_EQ(warned({{size, "4"}, {rank, "3"}}), "");
    EXPECT_EQ(warned({{size, "4"}}), "");
    EXPECT_EQ(warned({{size, "1"}, {rank, "0"}}), "");
    EXPECT_EQ(warned({{size, "4(x2)"}, {rank, "0"}}), "");
    EXPECT_EQ(warned({{size, "4"}, {rank, "0"}, {"FARANDOLE_SIZE", "1"}}), "");
  }
  EXPECT_EQ(warned({}), "");
  // A batch script of Slurm, which starts one process.
  EXPECT_EQ(warned({{"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "0"}}), "");
}

TEST(Config, OfLaunchersWithinEachOtherTheInnermostIsNamed) {
  // srun starts torchrun on two nodes, or horovodrun finds what an outer step has left.
  for (const auto& [size, rank] :
       {std::pair{"WORLD_SIZE", "RANK"}, std::pair{"HOROVOD_SIZE", "HOROVOD_RANK"}}) {
    std::map<std::string, std::string> variables{
        {"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_PROCID", "0"}, {size, "8"}, {rank, "0"}};
    EXPECT_THAT(warned(variables), HasSubstr(std::string(size) + "=8"));
    variables[rank] = "3";
    EXPECT_EQ(warned(variables), "");
    variables.erase(rank);
    EXPECT_THAT(warned(variables), HasSubstr("SLURM_STEP_NUM_TASKS=2"));
  }
}

TEST(Config, EveryRowIsPrintedAndAcceptsWhatItPrints) {
  for (const ConfigRow& row : config_rows()) {
    EXPECT_THAT(config_markdown(), HasSubstr("`" + row.name + "`"));
    if (row.fallback.empty())
      continue;
    const auto config = Config::from(environment({{row.name, row.fallback}}));
    EXPECT_TRUE(config) << config.status().message();
  }
}

}  // namespace
}  // namespace farandole

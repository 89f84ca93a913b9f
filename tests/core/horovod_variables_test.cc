#include "core/base/horovod_variables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace farandole {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> warnings_of(const std::map<std::string, std::string>& variables) {
  std::vector<std::string> names;
  for (const auto& [name, value] : variables) names.insert(names.begin(), name);
  return horovod_warnings(names, [&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

TEST(HorovodVariables, ThoseOfTheSameMeaningAndThoseThatAskForNothingAreSilent) {
  EXPECT_THAT(
      warnings_of(
          {{"HOROVOD_LOG_LEVEL", "info"},
           {"HOROVOD_CACHE_CAPACITY", "1"},
           {"HOROVOD_RANK", "0"},
           {"HOROVOD_THREAD_AFFINITY", "0"},
           {"HOROVOD_HOSTNAME", "a"},
           {"HOROVOD_AUTOTUNE", "0"},
           {"HOROVOD_CONTROLLER", "Gloo"},
           {"HOROVOD_STALL_CHECK_DISABLE", "1"},
           {"HOROVOD_HIERARCHICAL_ALLREDUCE", "1"},
           {"HOROVOD_HIERARCHICAL_ALLGATHER", "1"},
           {"HOROVOD_TIMELINE", ""},
           {"PATH", "x"}}),
      IsEmpty());
}

TEST(HorovodVariables, OthersAreNamedWithTheReason) {
  EXPECT_THAT(
      warnings_of(
          {{"HOROVOD_CYCLE_TIME", "3.5"}, {"HOROVOD_CONTROLLER", "mpi"}, {"HOROVOD_NEW", "1"}}),
      ElementsAre(
          "variable HOROVOD_CONTROLLER has no effect: there is no MPI here; leave it out: the "
          "launcher starts the ranks by itself",
          "variable HOROVOD_CYCLE_TIME has no effect: there is no cycle to set: tensors are agreed "
          "upon as they come; leave it out",
          "variable HOROVOD_NEW means nothing here"));
}

TEST(HorovodVariables, NeitherAnswerToWhetherSetsMayChangeIsWarnedAbout) {
  for (const char* const value : {"0", "1", "true", ""})
    EXPECT_THAT(warnings_of({{"HOROVOD_DYNAMIC_PROCESS_SETS", value}}), IsEmpty()) << value;
}

TEST(HorovodVariables, TheFirstOfTheRanksSpeaksForAll) {
  EXPECT_THAT(warnings_of({{"HOROVOD_RANK", "0"}, {"HOROVOD_NEW", "1"}}).size(), 1);
  EXPECT_THAT(warnings_of({{"HOROVOD_RANK", "1"}, {"HOROVOD_NEW", "1"}}), IsEmpty());
}

TEST(HorovodVariables, NoValueIsShown) {
  EXPECT_THAT(
      warnings_of({{"HOROVOD_SECRET_KEY", "s3cr3t"}}),
      ElementsAre("variable HOROVOD_SECRET_KEY has no effect: the secret stands in the file that "
                  "FARANDOLE_SECRET_FILE names; leave it out"));
}

}  // namespace
}  // namespace farandole

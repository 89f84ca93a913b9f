#include "controller/launch/refused_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace farandole::launch {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> warnings_of(const std::vector<std::pair<std::string, std::string>>& own) {
  Environment environment;
  for (const auto& [name, value] : own) environment.set(name, value);
  return horovod_warnings(environment);
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

}  // namespace
}  // namespace farandole::launch

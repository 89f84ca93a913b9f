// Every deliberate bug is caught by one of the nets, and the protocol without any by none.

#include <gtest/gtest.h>

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "tests/mutation/mutations.h"
#include "tests/mutation/search_for.h"
#include "tests/sim/run.h"

namespace farandole::mutation {

static void PrintTo(const Mutation& mutation, std::ostream* to) {
  *to << mutation.bug;
}

namespace {

TEST(Mutation, WithoutABugNothingIsFound) {
  mutate("");
  const std::optional<Catch> caught = search_for("");
  EXPECT_FALSE(caught) << caught->where << ": " << caught->wrong;
  EXPECT_FALSE(asked_for_a_stranger()) << "a FARANDOLE_MUTATE is not in the list";
}

class Caught : public testing::TestWithParam<Mutation> {};

// Half of what `make mutants` tries: a change of what seeds draw moves who is caught by which.
constexpr uint64_t kSeeds = 5000;

bool simulator_catches() {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed)
    if (sim::run_seed(seed).violation)
      return true;
  return false;
}

TEST_P(Caught, ByANet) {
  mutate(GetParam().name);
  const bool caught =
      GetParam().nets == Nets::Both ? search_for(GetParam().name).has_value() : simulator_catches();
  EXPECT_GT(times_asked(), 0U) << "no FARANDOLE_MUTATE(" << GetParam().name << ") was reached";
  mutate("");
  EXPECT_TRUE(caught) << GetParam().name << " survives: " << GetParam().bug;
}

INSTANTIATE_TEST_SUITE_P(
    Every, Caught, testing::ValuesIn(kMutations), [](const testing::TestParamInfo<Mutation>& info) {
      return std::string(info.param.name);
    });

}  // namespace
}  // namespace farandole::mutation

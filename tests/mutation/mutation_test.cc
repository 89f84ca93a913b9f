// Every deliberate bug is caught by one of the nets, and the protocol without any by none.

#include <gtest/gtest.h>

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "core/base/format.h"
#include "tests/mutation/mutations.h"
#include "tests/search/explorer.h"
#include "tests/search/formation.h"

namespace farandole::mutation {

static void PrintTo(const Mutation& mutation, std::ostream* to) {
  *to << mutation.bug;
}

namespace {

// What a net needed until it found something wrong.
struct Catch {
  uint64_t states = 0;
  std::string where;
  std::string wrong;
};

std::optional<Catch> search(std::string_view bug) {
  Catch out;
  const search::FormationFound formation = search::search_formation();
  out.states += formation.states;
  if (!formation.wrong.empty())
    return Catch{out.states, "formation", formation.wrong.substr(0, formation.wrong.find('\n'))};
  // Small searches first; pairs of faults only if no fault alone catches it.
  for (size_t faults = 0; faults <= 2; ++faults) {
    for (const auto& scenarios :
         {search::store_scenarios(), search::cache_scenarios(), search::agreement_scenarios()}) {
      for (const search::Scenario& scenario : scenarios) {
        if (scenario.faults.size() != faults || (bug.empty() && faults > 1))
          continue;
        const search::Found found = search::Explorer(scenario).run();
        out.states += found.states;
        if (!found.wrong.empty())
          return Catch{out.states, scenario.name, found.wrong};
      }
    }
  }
  return std::nullopt;
}

TEST(Mutation, WithoutABugNothingIsFound) {
  mutate("");
  const std::optional<Catch> caught = search("");
  EXPECT_FALSE(caught) << caught->where << ": " << caught->wrong;
  EXPECT_FALSE(asked_for_a_stranger()) << "a FARANDOLE_MUTATE is not in the list";
}

class Caught : public testing::TestWithParam<Mutation> {};

TEST_P(Caught, ByTheSearch) {
  mutate(GetParam().name);
  const std::optional<Catch> caught = search(GetParam().name);
  EXPECT_GT(times_asked(), 0U) << "no FARANDOLE_MUTATE(" << GetParam().name << ") was reached";
  mutate("");
  ASSERT_TRUE(caught) << GetParam().name << " survives: " << GetParam().bug;
  fmt::print(
      "| {} | {} | {} | {} | {} |\n",
      GetParam().name,
      GetParam().bug,
      caught->states,
      caught->where,
      caught->wrong);
}

INSTANTIATE_TEST_SUITE_P(
    Every, Caught, testing::ValuesIn(kMutations), [](const testing::TestParamInfo<Mutation>& info) {
      return std::string(info.param.name);
    });

}  // namespace
}  // namespace farandole::mutation

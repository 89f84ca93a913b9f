// Every order in which three ranks can join, submit, hear, fail and leave, with up to two faults.

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <set>

#include "core/base/format.h"
#include "tests/search/explorer.h"
#include "tests/search/formation.h"

namespace farandole::search {
namespace {

// The scenarios of a family, as a part of them, so that parts can run beside each other.
struct Part {
  std::vector<Scenario> (*family)();
  size_t number = 0;
  size_t parts = 1;
};
void PrintTo(const Part& part, std::ostream* to) {
  *to << "part " << part.number + 1 << " of " << part.parts;
}

class Search : public testing::TestWithParam<Part> {};

TEST_P(Search, EveryOrderIsSafeAndSettles) {
  Found sum;
  const Part part = GetParam();
  const std::vector<Scenario> scenarios = part.family();
  for (size_t i = part.number; i < scenarios.size(); i += part.parts * FARANDOLE_SEARCH_EVERY) {
    const Scenario& scenario = scenarios[i];
    const Found found = Explorer(scenario).run();
    ASSERT_EQ(found.wrong, "") << scenario.name << "\n  "
                               << fmt::format("{}", fmt::join(found.trace, "\n  "));
    ASSERT_GT(found.ends, 0U) << scenario.name;
    sum.states += found.states;
    sum.transitions += found.transitions;
    sum.ends += found.ends;
    sum.depth = std::max(sum.depth, found.depth);
    sum.machine_states += found.machine_states;
  }
  fmt::print(
      "finished: part {} of {}, {} states, {} transitions, {} ends, depth {}; "
      "{} states of machines\n",
      part.number + 1,
      part.parts,
      sum.states,
      sum.transitions,
      sum.ends,
      sum.depth,
      sum.machine_states);
}

INSTANTIATE_TEST_SUITE_P(
    Agreement,
    Search,
    testing::Values(
        Part{&agreement_scenarios, 0, 4},
        Part{&agreement_scenarios, 1, 4},
        Part{&agreement_scenarios, 2, 4},
        Part{&agreement_scenarios, 3, 4}));
INSTANTIATE_TEST_SUITE_P(Cache, Search, testing::Values(Part{&cache_scenarios}));
INSTANTIATE_TEST_SUITE_P(Store, Search, testing::Values(Part{&store_scenarios}));

TEST(FormationSearch, EveryOrderEndsInOneOutcome) {
  const FormationFound found = search_formation();
  EXPECT_EQ(found.wrong, "");
  EXPECT_GT(found.ends, 0U);
  fmt::print(
      "finished: {} states, {} transitions, {} ends\n",
      found.states,
      found.transitions,
      found.ends);
}

// No fault, each fault, and each pair of faults that can meet.
TEST(Scenarios, HoldEveryPairOfFaults) {
  std::set<std::string> names;
  size_t none = 0, one = 0, two = 0;
  for (const Scenario& scenario : agreement_scenarios()) {
    EXPECT_TRUE(names.insert(scenario.name).second) << scenario.name;
    ++(scenario.faults.empty() ? none : scenario.faults.size() == 1 ? one : two);
  }
  EXPECT_EQ(none, 1U);
  EXPECT_EQ(one, 29U);
  EXPECT_GT(two, 390U);
}

// A search that is cut off is no success.
TEST(Explorer, SaysWhenItHasNotFinished) {
  const Scenario scenario = agreement_scenarios().front();
  EXPECT_EQ(
      Explorer(scenario, 100).run().wrong, "the search is too large: it has not been finished");
}

}  // namespace
}  // namespace farandole::search

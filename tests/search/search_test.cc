// Every order in which three ranks can join, submit, hear, fail and leave, with up to two faults.

#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <set>
#include <vector>

#include "core/base/format.h"
#include "tests/search/explorer.h"
#include "tests/search/formation.h"

namespace farandole::search {
namespace {

// The whole search may take a minute on two cores. What is bounded is its work, which is the same
// on every run and every machine; time is not, not even that of the processor, of which neighbours
// who share a core's caches or threads make two thirds more (12.7 s alone were 20.9 s beside two
// busy ones). Two quiet cores do 100 million transitions in a minute (0.85 million a second each),
// running machines included: so much for all six parts, which run beside each other.
constexpr size_t kParts = 6;
constexpr uint64_t kMostTransitions = 16'000'000;
constexpr size_t kMostMachineStates = 600'000;

std::vector<Scenario> all_scenarios() {
  std::vector<Scenario> all = agreement_scenarios();
  for (const auto& family :
       {cache_scenarios(),
        store_scenarios(),
        join_scenarios(),
        set_scenarios(),
        scatter_scenarios(),
        message_scenarios(),
        group_scenarios()})
    all.insert(all.end(), family.begin(), family.end());
  return all;
}

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

class Search : public testing::TestWithParam<size_t> {};

TEST_P(Search, EveryOrderIsSafeAndSettles) {
  const double start = processor_seconds();
  Found sum;
  const std::vector<Scenario> scenarios = all_scenarios();
  for (size_t i = GetParam(); i < scenarios.size(); i += kParts * FARANDOLE_SEARCH_EVERY) {
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
  const double seconds = processor_seconds() - start;
  fmt::print(
      "finished: part {} of {}, {} states, {} transitions, {} ends, depth {}; "
      "{} states of machines; {:.1f} s\n",
      GetParam() + 1,
      kParts,
      sum.states,
      sum.transitions,
      sum.ends,
      sum.depth,
      sum.machine_states,
      seconds);
  EXPECT_LT(sum.transitions, kMostTransitions);
  EXPECT_LT(sum.machine_states, kMostMachineStates);
}

INSTANTIATE_TEST_SUITE_P(Whole, Search, testing::Range<size_t>(0, kParts));

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

// A seed that crashes or never comes back is named, shown and made smaller like any other.

#include "tests/sim/trial.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/sim/campaign.h"
#include "tests/sim/shrink.h"

namespace farandole::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// Does something deadly at the first loss.
template <void (*deed)()>
class DeadlyMonitor final : public Monitor {
 public:
  using Monitor::Monitor;
  void on_failure(int, const PeerFailure& failure, TimePoint) override {
    if (!failure.left)
      deed();
  }
};

template <void (*deed)()>
Monitors deadly(const Plan&, Findings& findings) {
  Monitors monitors;
  monitors.push_back(std::make_unique<DeadlyMonitor<deed>>(findings));
  return monitors;
}

void spin() {
  for (volatile bool on = true; on;) {
  }
}

Monitors no_monitors(const Plan&, Findings&) {
  return {};
}

// The first seed in which somebody is lost, of a job of some size.
uint64_t losing_seed() {
  uint64_t seed = 1;
  const auto loses = [&] {
    bool lost = false;
    run_seed(seed, {.traced = true, .monitors = no_monitors, .line = [&](const std::string& line) {
                      lost = lost || line.find(" lost: ") != std::string::npos;
                    }});
    return lost;
  };
  while (draw_plan(seed).size < 4 || !loses()) ++seed;
  return seed;
}

TEST(TrialTest, GivesWhatARunGives) {
  const Plan plan = draw_plan(7);
  const RunResult here = run_plan(plan, {.traced = true});
  const RunResult there = try_plan(plan, {.run = {.traced = true}});
  EXPECT_EQ(there.digest, here.digest);
  EXPECT_EQ(there.events, here.events);
  EXPECT_EQ(there.faults, here.faults);
  EXPECT_EQ(there.trace, here.trace);
  EXPECT_EQ(there.violation, here.violation);
}

TEST(TrialTest, ShowsTheWayToACrashAndMakesItSmaller) {
  const auto runner = [](const Plan& plan, bool traced) {
    return try_plan(
        plan,
        {.run = {.traced = traced, .monitors = deadly<std::abort>},
         .patience = {},
         .silent = true});
  };
  const Plan plan = draw_plan(losing_seed());
  const RunResult result = runner(plan, true);
  EXPECT_EQ(result.violation, "crash: signal 6 (Aborted)");
  ASSERT_FALSE(result.trace.empty());
  const Shrunk small = shrink(plan, runner);
  EXPECT_EQ(small.result.violation, result.violation);
  EXPECT_EQ(small.plan.size, 2);
  EXPECT_EQ(small.plan.faults.size(), 1U);
  ASSERT_FALSE(small.result.trace.empty());
}

TEST(TrialTest, EndsWhatNeverComesBack) {
  const RunResult result = try_plan(
      draw_plan(losing_seed()),
      {.run = {.traced = true, .monitors = deadly<spin>}, .patience = {.processor = 100ms}});
  EXPECT_EQ(result.violation, "hang: an event took more than 0.1 s of processor time");
  EXPECT_FALSE(result.trace.empty());
}

TEST(CampaignTest, NamesSeedsThatCrashOrHang) {
  const uint64_t seed = losing_seed();
  for (const MonitorFactory monitors : {deadly<std::abort>, deadly<spin>}) {
    const Campaign campaign = run_campaign(
        {.first = seed,
         .seeds = 1,
         .jobs = 1,
         .run = {.monitors = monitors},
         .patience = {.processor = 100ms}});
    EXPECT_EQ(campaign.crashed, std::vector<uint64_t>{seed});
    EXPECT_TRUE(campaign.failed.empty());
  }
}

}  // namespace
}  // namespace farandole::sim

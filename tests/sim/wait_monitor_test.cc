// The monitor of waits objects to those that should have ended the job, and to ranks that nobody
// asks.

#include <gtest/gtest.h>

#include "tests/sim/monitor_inputs.h"
#include "tests/sim/monitor_stalls.h"
#include "tests/sim/monitor_waits.h"

namespace farandole::sim {
namespace {

using std::chrono_literals::operator""ms;

Plan plan_that_ends_waits() {
  Plan plan;
  plan.size = 4;
  plan.stall_abort = 500ms;
  plan.delay_most = 1ms;
  plan.process_sets[0] = {0, 1, 2, 3};
  return plan;
}

// Ranks 1 and 2 have submitted "a" of all ranks.
class WaitMonitorTest : public testing::Test {
 protected:
  WaitMonitorTest() {
    for (const int rank : {1, 2}) submit(rank);
  }
  void submit(int rank, const std::string& name = "a", TimePoint now = kNow) {
    monitor_.on_submitted(rank, {0, name}, {}, now);
  }
  bool objects(Duration after) {
    monitor_.on_time(kNow + after);
    return !findings_.empty();
  }
  Plan plan_ = plan_that_ends_waits();
  const Duration limit_ = plan_.stall_abort + on_its_way(plan_);
  Findings findings_;
  WaitMonitor monitor_{plan_, findings_};
};

TEST_F(WaitMonitorTest, SeesAWaitThatEndsNothing) {
  EXPECT_FALSE(objects(limit_));
  EXPECT_TRUE(objects(limit_ + 1ms));
}

TEST_F(WaitMonitorTest, AdmitsAnyWaitWhereNoneIsToEndTheJob) {
  plan_.stall_abort = {};
  WaitMonitor patient(plan_, findings_);
  patient.on_submitted(1, {0, "a"}, {}, kNow);
  patient.on_time(kNow + 100 * limit_);
  EXPECT_TRUE(findings_.empty());
}

TEST_F(WaitMonitorTest, SeesTheOneThatWaitsOfSeveral) {
  submit(3, "b", kNow + 1ms);
  monitor_.on_agreement(1, round_of(1, {{.name = "a"}}));
  monitor_.on_agreement(2, round_of(1, {{.name = "a"}}));
  EXPECT_FALSE(objects(limit_ + 1ms));
  EXPECT_TRUE(objects(limit_ + 2ms));
}

TEST_F(WaitMonitorTest, AdmitsWhatIsAnsweredOrEndsForAll) {
  monitor_.on_agreement(1, {.rejected = {{.name = "a"}}});
  monitor_.on_failure(2, {.rank = 3, .cause = "died"}, kNow);
  EXPECT_FALSE(objects(limit_ + 1ms));
}

TEST_F(WaitMonitorTest, SeesAWaitThatGoesOnAfterOneRankHasLeft) {
  for (const int rank : {1, 2}) monitor_.on_failure(rank, {.rank = 3, .left = true}, kNow);
  EXPECT_TRUE(objects(limit_ + 1ms));
}

TEST_F(WaitMonitorTest, AdmitsOneOfAProgramThatEndsThen) {
  plan_.fails_on_leave = true;
  for (const int rank : {1, 2}) monitor_.on_failure(rank, {.rank = 3, .left = true}, kNow);
  EXPECT_FALSE(objects(limit_ + 1ms));
}

TEST_F(WaitMonitorTest, AdmitsOneForNobody) {
  submit(0);
  submit(3, "");  // has joined
  EXPECT_FALSE(objects(limit_ + 1ms));
}

TEST_F(WaitMonitorTest, SeesOneForRankZero) {
  submit(3);
  EXPECT_TRUE(objects(limit_ + 1ms));
}

TEST_F(WaitMonitorTest, AdmitsJoinsHoweverLong) {
  for (const int rank : {1, 2}) monitor_.on_agreement(rank, round_of(1, {{.name = "a"}}));
  submit(1, "");
  EXPECT_FALSE(objects(limit_ + 1ms));
}

TEST_F(WaitMonitorTest, AdmitsThatNobodyIsThereToEndIt) {
  monitor_.on_goodbye(0);
  EXPECT_FALSE(objects(limit_ + 1ms));
}

TEST_F(WaitMonitorTest, AdmitsThatWhoWaitsHearsNothing) {
  monitor_.on_fault({.kind = Fault::Kind::Cut, .rank = 1, .other = 3});
  monitor_.on_goodbye(2);
  EXPECT_FALSE(objects(limit_ + 1ms));
}

TEST_F(WaitMonitorTest, SeesTheOtherWhoHears) {
  monitor_.on_fault({.kind = Fault::Kind::Cut, .rank = 1, .other = 3});
  EXPECT_TRUE(objects(limit_ + 1ms));
}

class AskedTest : public WaitMonitorTest {
 protected:
  bool objects_to(const std::vector<int>& asked, std::vector<int> missing) {
    control::StallReport report;
    report.stalls.push_back({.name = "a", .submitted = {1, 2}, .missing = std::move(missing)});
    for (const int rank : asked) report.testimonies.push_back({rank, "does not answer"});
    monitor_.on_stalls(report);
    return !findings_.empty();
  }
};

TEST_F(AskedTest, ContentWhereAllAreAsked) {
  EXPECT_FALSE(objects_to({0, 3}, {0, 3}));
  EXPECT_FALSE(objects_to({0, 3}, {3}));  // another wait is told of besides
}

TEST_F(AskedTest, SeesWhoIsNot) {
  EXPECT_TRUE(objects_to({0}, {0, 3}));
}

TEST_F(AskedTest, AdmitsThatOnlyTheFirstOfManyAre) {
  EXPECT_FALSE(objects_to({3, 4, 5, 6, 7, 8, 9, 10}, {3, 4, 5, 6, 7, 8, 9, 10, 11}));
}

}  // namespace
}  // namespace farandole::sim

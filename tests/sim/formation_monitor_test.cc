// The monitor of the forming of groups: it can object to each thing that it is for.

#include <gtest/gtest.h>

#include "tests/sim/monitor_formation.h"
#include "tests/sim/monitor_inputs.h"

namespace farandole::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

Plan plan_of_three() {
  Plan plan;
  plan.size = 3;
  plan.start_timeout = 3s;
  plan.habits.resize(3);
  return plan;
}

class FormationMonitorTest : public testing::Test {
 protected:
  bool objects() const { return !findings_.empty(); }
  void refuse(int rank, const Status& why) { monitor_.on_not_formed(rank, why); }
  // `after` the start of all.
  static Monitor::StartEnd refused(Duration after) {
    return {.told = true, .joined = kNow + 10ms, .started = kNow, .now = kNow + after};
  }
  static Monitor::StartEnd given_up(Duration after) {
    return {.started = kNow, .now = kNow + after};
  }

  const Status missing_{Code::Timeout, "rank 2 is missing"};
  Plan plan_ = plan_of_three();
  Findings findings_;
  FormationMonitor monitor_{plan_, findings_};
};

TEST_F(FormationMonitorTest, SeesThatNobodyIsMissing) {
  refuse(0, missing_);
  EXPECT_TRUE(objects());
}

TEST_F(FormationMonitorTest, AdmitsThatSomebodyIs) {
  plan_.habits[2].never = true;
  for (const int rank : {0, 1}) {
    refuse(rank, missing_);
    monitor_.on_start_end(rank, refused(3s));
  }
  monitor_.on_start_end(2, given_up(3s));
  EXPECT_FALSE(objects());
}

TEST_F(FormationMonitorTest, SeesThatAllAreOfOneMind) {
  refuse(0, {Code::Mismatch, "ranks disagree"});
  EXPECT_TRUE(objects());
}

TEST_F(FormationMonitorTest, AdmitsThatSomebodyIsOfAnother) {
  plan_.habits[2].other_settings = true;
  refuse(0, {Code::Mismatch, "ranks disagree"});
  EXPECT_FALSE(objects());
}

TEST_F(FormationMonitorTest, SeesAnotherReason) {
  plan_.habits[2].never = true;
  refuse(0, missing_);
  refuse(1, {Code::PeerLost, "rank 0 was lost"});
  EXPECT_TRUE(objects());
}

TEST_F(FormationMonitorTest, AsksNobodyWhomAFaultStruckForIt) {
  plan_.habits[2].never = true;
  monitor_.on_fault({.kind = Fault::Kind::Block, .rank = 0, .other = 1});
  refuse(0, missing_);
  refuse(1, {Code::PeerLost, "rank 0 was lost"});
  monitor_.on_start_end(1, given_up(100s));
  EXPECT_FALSE(objects());
}

TEST_F(FormationMonitorTest, SeesWhoHasJoinedAndIsToldNothing) {
  Monitor::StartEnd end = given_up(3s);
  end.joined = kNow;
  monitor_.on_start_end(1, end);
  EXPECT_TRUE(objects());
}

TEST_F(FormationMonitorTest, SeesWhoIsToldLate) {
  monitor_.on_start_end(0, refused(1s));
  monitor_.on_start_end(1, refused(1040ms));
  EXPECT_FALSE(objects());
  monitor_.on_start_end(2, refused(1060ms));
  EXPECT_TRUE(objects());
}

TEST_F(FormationMonitorTest, SeesWhoWaitsBeyondItsDeadline) {
  monitor_.on_start_end(1, given_up(3040ms));
  EXPECT_FALSE(objects());
  monitor_.on_start_end(2, given_up(3060ms));
  EXPECT_TRUE(objects());
}

}  // namespace
}  // namespace farandole::sim

// The monitor of false alarms objects to them, and to nothing else.

#include <gtest/gtest.h>

#include "tests/sim/monitor_alarm.h"
#include "tests/sim/monitor_inputs.h"

namespace farandole::sim {
namespace {

using std::chrono_literals::operator""ms;
using FaultKind = Fault::Kind;

Plan plan_with_patience() {
  Plan plan;
  plan.size = 3;
  plan.heartbeat_interval = 100ms;
  plan.heartbeat_timeout = 1000ms;
  plan.data_timeout = 5000ms;
  return plan;
}

class AlarmMonitorTest : public testing::Test {
 protected:
  bool objects() {
    monitor_.on_failure(0, {.rank = 1, .cause = "no heartbeat"}, kNow);
    return !findings_.empty();
  }
  void fault(FaultKind kind, Duration length = {}) {
    monitor_.on_fault({.kind = kind, .length = length, .rank = 1, .other = 2});
  }
  Plan plan_ = plan_with_patience();
  Findings findings_;
  AlarmMonitor monitor_{plan_, findings_};
};

TEST_F(AlarmMonitorTest, SeesALossWithoutAReason) {
  EXPECT_TRUE(objects());
}

TEST_F(AlarmMonitorTest, SeesOneAfterAPauseThatWasShorterThanThePatience) {
  fault(FaultKind::Stop, 600ms);
  EXPECT_TRUE(objects());
}

TEST_F(AlarmMonitorTest, SeesOneAfterAnInterruptionThatWasShorter) {
  fault(FaultKind::Block, 300ms);
  fault(FaultKind::Cut, 300ms);
  EXPECT_TRUE(objects());
}

TEST_F(AlarmMonitorTest, AdmitsOneAfterALongPause) {
  fault(FaultKind::Stop, 900ms);
  EXPECT_FALSE(objects());
}

TEST_F(AlarmMonitorTest, AdmitsOneAfterPausesThatAreLongTogether) {
  fault(FaultKind::Stop, 500ms);
  fault(FaultKind::Cut, 500ms);
  EXPECT_FALSE(objects());
}

TEST_F(AlarmMonitorTest, AdmitsThatTheDeadAreLost) {
  fault(FaultKind::Doom);
  monitor_.on_death(1, kNow);
  EXPECT_FALSE(objects());
}

TEST_F(AlarmMonitorTest, SeesThatWhoIsToDieIsLostBefore) {
  fault(FaultKind::Doom);
  EXPECT_TRUE(objects());
}

TEST_F(AlarmMonitorTest, AdmitsThatBrokenConnectionsAreLost) {
  for (const FaultKind kind : {FaultKind::Reset, FaultKind::HalfReset, FaultKind::DataReset}) {
    AlarmMonitor monitor(plan_, findings_);
    monitor.on_fault({.kind = kind, .rank = 1, .other = 2});
    monitor.on_failure(0, {.rank = 2}, kNow);
    EXPECT_TRUE(findings_.empty()) << name_of(kind);
    monitor.on_failure(0, {.rank = 0}, kNow);
    EXPECT_FALSE(findings_.empty()) << name_of(kind);
    findings_ = {};
  }
}

TEST_F(AlarmMonitorTest, SeesThatAGoodbyeOrAnOldFrameLosesSomebody) {
  fault(FaultKind::Leave);
  fault(FaultKind::Stale);
  EXPECT_TRUE(objects());
}

TEST_F(AlarmMonitorTest, AdmitsGoodbyesAndThoseWhoWereLate) {
  monitor_.on_failure(0, {.rank = 2, .left = true}, kNow);
  EXPECT_TRUE(findings_.empty());
  monitor_.on_overdue(1);
  EXPECT_FALSE(objects());
}

// Where that tells before silence does, and only of who is late there.
TEST_F(AlarmMonitorTest, AdmitsThatWhoseDataIsLateIsLost) {
  for (const Duration data : {1000ms, 1001ms})
    for (const Code code : {Code::Timeout, Code::PeerLost})
      for (const int late : {1, 2}) {
        plan_.data_timeout = data;
        findings_ = {};
        AlarmMonitor monitor(plan_, findings_);
        monitor.on_accusation(2, {.rank = late, .code = code});
        monitor.on_failure(0, {.rank = 1, .code = Code::Timeout}, kNow);
        EXPECT_EQ(findings_.empty(), data == 1000ms && code == Code::Timeout && late == 1);
      }
}

TEST_F(AlarmMonitorTest, SeesAGroupThatIsRefusedForNoReason) {
  monitor_.on_not_formed(0, {Code::Timeout, "rank 1 is missing"});
  EXPECT_TRUE(findings_.empty()) << "that is another monitor's";
  monitor_.on_not_formed(0, Status(Code::PeerLost, "rank 1 joined twice").blame(1));
  EXPECT_FALSE(findings_.empty());
}

// Their connection, and nothing else; and others not at all.
TEST_F(AlarmMonitorTest, AdmitsThatWhoComesAgainCrossesWithItsEarlierProcess) {
  const auto lost = [](const char* why) { return Status(Code::PeerLost, why).blame(0); };
  monitor_.on_death(1, kNow);
  monitor_.on_not_formed(1, lost("rank 0 was lost: connection closed"));
  EXPECT_TRUE(findings_.empty());
  monitor_.on_not_formed(1, lost("rank 0 was lost: no heartbeat for 1.0 s"));
  EXPECT_FALSE(findings_.empty());
  findings_ = {};
  monitor_.on_not_formed(2, lost("rank 0 was lost: connection closed"));
  EXPECT_FALSE(findings_.empty());
}

}  // namespace
}  // namespace farandole::sim

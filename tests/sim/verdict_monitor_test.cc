// The monitor of verdicts objects to what is wrong with one, and to nothing else.

#include <gtest/gtest.h>

#include "tests/sim/monitor_inputs.h"
#include "tests/sim/monitor_verdict.h"

namespace farandole::sim {
namespace {

using std::chrono_literals::operator""s;

class VerdictMonitorTest : public testing::Test {
 protected:
  void kill(int rank) {
    monitor_.on_fault({.kind = Fault::Kind::Kill, .rank = rank});
    monitor_.on_death(rank, kNow);
  }
  Plan plan_ = {.size = 4};
  Findings findings_;
  VerdictMonitor monitor_{plan_, findings_};
};

TEST_F(VerdictMonitorTest, ContentWithOneVerdict) {
  kill(2);
  for (const int rank : {0, 1, 3}) monitor_.on_failure(rank, {.rank = 2}, kNow);
  EXPECT_TRUE(findings_.empty());
}

TEST_F(VerdictMonitorTest, SeesTheInnocentBlamed) {
  kill(2);
  monitor_.on_failure(0, {.rank = 1}, kNow);
  EXPECT_FALSE(findings_.empty());
}

// Rank 0 slept for too long; who gave it up said so and closed the connection, and only that came.
TEST_F(VerdictMonitorTest, AdmitsThatASleeperNamesThoseWhoGaveItUp) {
  monitor_.on_fault({.kind = Fault::Kind::Stop, .length = 10s, .rank = 0});
  monitor_.on_failure(1, {.rank = 0}, kNow);
  monitor_.on_failure(0, {.rank = 1}, kNow);
  EXPECT_TRUE(findings_.empty());
}

TEST_F(VerdictMonitorTest, SeesThatASleeperNamesAnother) {
  monitor_.on_fault({.kind = Fault::Kind::Stop, .length = 10s, .rank = 0});
  monitor_.on_failure(1, {.rank = 0}, kNow);
  monitor_.on_failure(0, {.rank = 2}, kNow);
  EXPECT_FALSE(findings_.empty());
}

// Where that tells before silence does.
TEST_F(VerdictMonitorTest, AdmitsThatWhoseDataIsLateIsLost) {
  plan_.heartbeat_timeout = 3s;
  for (const Duration data : {Duration(3s), Duration(4s)})
    for (const Code code : {Code::Timeout, Code::PeerLost}) {
      plan_.data_timeout = data;
      findings_ = {};
      VerdictMonitor monitor(plan_, findings_);
      monitor.on_accusation(2, {.rank = 1, .code = code});
      monitor.on_failure(0, {.rank = 1, .code = code}, kNow);
      EXPECT_EQ(findings_.empty(), data == 3s && code == Code::Timeout);
    }
}

TEST_F(VerdictMonitorTest, SeesTwoCulprits) {
  kill(2);
  kill(3);
  monitor_.on_failure(0, {.rank = 2}, kNow);
  monitor_.on_failure(1, {.rank = 3}, kNow);
  EXPECT_FALSE(findings_.empty());
}

TEST_F(VerdictMonitorTest, SeesASecondVerdict) {
  kill(2);
  monitor_.on_failure(0, {.rank = 2}, kNow);
  monitor_.on_failure(0, {.rank = 2}, kNow);
  EXPECT_FALSE(findings_.empty());
}

TEST_F(VerdictMonitorTest, SeesALateVerdict) {
  kill(2);
  monitor_.on_failure(0, {.rank = 2}, kNow + 100s);
  EXPECT_FALSE(findings_.empty());
}

// Kernels tell of the end of a process; of that of a host only silence does.
TEST_F(VerdictMonitorTest, WaitsForSilenceOnlyWhereNothingElseTells) {
  plan_.heartbeat_timeout = 3s;
  for (const bool told : {true, false}) {
    VerdictMonitor monitor(plan_, findings_);
    monitor.on_fault({.kind = told ? Fault::Kind::Kill : Fault::Kind::Vanish, .rank = 2});
    monitor.on_death(2, kNow);
    monitor.on_failure(0, {.rank = 2}, kNow + 2s);
    EXPECT_EQ(findings_.empty(), !told);
    findings_ = {};
  }
}

// Nobody watches it any more: who waits for what it sent finds that its data time-out has passed.
TEST_F(VerdictMonitorTest, WaitsForDataOfWhoHadFinished) {
  plan_.heartbeat_timeout = 3s;
  plan_.data_timeout = 9s;
  for (const bool finished : {true, false}) {
    VerdictMonitor monitor(plan_, findings_);
    if (finished)
      monitor.on_finished(2);
    monitor.on_fault({.kind = Fault::Kind::Vanish, .rank = 2});
    monitor.on_death(2, kNow);
    monitor.on_failure(0, {.rank = 2}, kNow + 10s);
    EXPECT_EQ(findings_.empty(), finished);
    findings_ = {};
  }
}

TEST_F(VerdictMonitorTest, ForgetsTheDeathOfAnEarlierProcess) {
  kill(2);
  monitor_.on_start(2);
  monitor_.on_failure(2, {.rank = 2}, kNow + 100s);
  EXPECT_TRUE(findings_.empty());
}

// Until then the deadline of formation is the bound.
TEST_F(VerdictMonitorTest, CountsFromTheFormation) {
  kill(2);
  monitor_.on_formed(0, 1, {}, kNow + 100s);
  monitor_.on_failure(0, {.rank = 2}, kNow + 100s);
  EXPECT_TRUE(findings_.empty());
}

}  // namespace
}  // namespace farandole::sim

#include "controller/launch/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>

#include "controller/launch/report.h"

namespace farandole::launch {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::SizeIs;
using Phase = Supervisor::Phase;

constexpr int exit_status(int code) {
  return code << 8;
}

class SupervisorTest : public testing::Test {
 protected:
  static Message about(MessageKind kind, int rank, int value = 0) {
    return {.kind = kind, .rank = rank, .pid = 100 + rank, .value = value};
  }
  void start(int ranks) {
    for (int rank = 0; rank < ranks; ++rank)
      job_.on_message(about(MessageKind::Started, rank), now_);
  }
  void exits(int rank, int status) {
    job_.on_message(about(MessageKind::Exited, rank, status), now_);
  }
  void advance(Duration time) {
    now_ += time;
    job_.on_time(now_);
  }
  // The one order given since the last look.
  Message order() {
    const auto orders = job_.take_orders();
    EXPECT_THAT(orders, SizeIs(1));
    return orders.empty() ? Message{} : orders.front();
  }

  TimePoint now_{};
  Supervisor job_{{.ranks = 3, .grace = 3s, .report_time = 1s, .timeout = std::nullopt}, now_};
};

TEST_F(SupervisorTest, OutputThatCannotBeReadEndsTheJobAndIsTold) {
  start(3);
  job_.on_output_unreadable(1, EIO, now_);
  EXPECT_EQ(job_.phase(), Phase::Ending);
  EXPECT_EQ(order().kind, MessageKind::End);
  EXPECT_EQ(exit_code_of(job_.outcome()), 1);
  EXPECT_THAT(
      final_report(job_.outcome(), {.host = "h", .program = "", .running = {}}, {}),
      testing::EndsWith(
          "the job was ended because the output of rank 1 (host h) could not be read: "
          "Input/output error\n"));
}

TEST_F(SupervisorTest, OutputThatCannotBeReadOnAnotherHostIsTheSame) {
  start(3);
  job_.on_message({.kind = MessageKind::OutputUnreadable, .rank = 1, .value = EIO}, now_);
  EXPECT_EQ(job_.phase(), Phase::Ending);
  EXPECT_EQ(order().kind, MessageKind::End);
  EXPECT_EQ(job_.outcome().cause, Cause::OutputUnreadable);
  EXPECT_EQ(job_.outcome().rank, 1);
}

TEST_F(SupervisorTest, AllZeroIsSuccessAndNobodyIsTold) {
  start(3);
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_EQ(job_.phase(), Phase::Running);
    exits(rank, 0);
    advance(100s * (rank < 2));
  }
  EXPECT_EQ(job_.outcome().cause, Cause::None);
  EXPECT_THAT(job_.take_orders(), IsEmpty());
  EXPECT_EQ(exit_code_of(job_.outcome()), 0);
}

TEST_F(SupervisorTest, TheFirstFailureDecides) {
  start(3);
  advance(2s);
  exits(1, exit_status(7));
  exits(0, exit_status(1));
  EXPECT_EQ(job_.outcome().cause, Cause::RankFailed);
  EXPECT_EQ(job_.outcome().rank, 1);
  EXPECT_EQ(job_.outcome().runtime, Duration(2s));
  EXPECT_EQ(exit_code_of(job_.outcome()), 7);
}

TEST_F(SupervisorTest, ARankThatOnlySawTheLossIsNotTheCulprit) {
  start(3);
  exits(0, exit_status(1));
  advance(100ms);
  exits(2, exit_status(4));
  EXPECT_EQ(job_.outcome().rank, 0);
  EXPECT_EQ(job_.outcome([](int rank) { return rank == 0; }).rank, 2);
  EXPECT_EQ(job_.outcome([](int) { return true; }).rank, 0);
}

TEST_F(SupervisorTest, ASignalIsTheCauseOfAnExitThatWasReportedFirst) {
  start(3);
  exits(0, exit_status(1));
  advance(100ms);
  exits(2, SIGKILL);
  EXPECT_EQ(job_.outcome().rank, 2);
  EXPECT_EQ(exit_code_of(job_.outcome()), 137);
}

TEST_F(SupervisorTest, ALaterSignalIsAConsequence) {
  start(3);
  exits(0, exit_status(1));
  advance(300ms);
  exits(2, SIGSEGV);
  EXPECT_EQ(job_.outcome().rank, 0);
  advance(1s);
  exits(1, SIGTERM);  // told to
  EXPECT_EQ(job_.outcome([](int rank) { return rank == 0; }).rank, 2);
}

TEST_F(SupervisorTest, OthersMayReportThenEndThenAreKilled) {
  start(3);
  exits(1, SIGKILL);
  EXPECT_EQ(job_.phase(), Phase::Reporting);
  EXPECT_THAT(job_.take_orders(), IsEmpty());
  advance(1s);
  Message told = order();
  EXPECT_EQ(told.kind, MessageKind::End);
  EXPECT_EQ(told.time, Duration(3s).count());
  advance(6s);
  told = order();
  EXPECT_EQ(told.kind, MessageKind::End);
  EXPECT_EQ(told.time, 0);
  advance(3s);
  EXPECT_EQ(job_.phase(), Phase::Sweeping);
  advance(10s);
  EXPECT_EQ(job_.phase(), Phase::GivenUp);
  EXPECT_TRUE(job_.outcome().gave_up);
  EXPECT_EQ(exit_code_of(job_.outcome()), 128 + SIGKILL);
}

TEST_F(SupervisorTest, ASignalIsPassedOnOnceAndTheSecondKills) {
  start(3);
  job_.on_end_signal(SIGINT, true, now_);
  Message told = order();
  EXPECT_EQ(told.kind, MessageKind::Signal);
  EXPECT_EQ(told.value, SIGINT);
  EXPECT_TRUE(told.flag);
  exits(0, SIGINT);  // that is what was asked for
  job_.on_end_signal(SIGINT, true, now_);
  told = order();
  EXPECT_EQ(told.kind, MessageKind::End);
  EXPECT_EQ(told.time, 0);
  EXPECT_EQ(job_.outcome().cause, Cause::Signal);
  EXPECT_EQ(exit_code_of(job_.outcome()), 130);
}

TEST_F(SupervisorTest, SignalsDoNotPutOffTheEndOfWhatRanksLeftBehind) {
  start(3);
  for (int rank = 0; rank < 3; ++rank) exits(rank, 0);
  job_.on_end_signal(SIGINT, true, now_);
  EXPECT_EQ(order().kind, MessageKind::Signal);
  const auto deadline = job_.deadline();
  advance(2000ms);
  job_.on_end_signal(SIGINT, true, now_);
  EXPECT_EQ(order().kind, MessageKind::Signal);
  EXPECT_TRUE(job_.deadline() == deadline);
  advance(1000ms);
  EXPECT_EQ(job_.phase(), Supervisor::Phase::Killing);
  job_.take_orders();
  job_.on_end_signal(SIGINT, true, now_);
  EXPECT_EQ(job_.phase(), Supervisor::Phase::Killing);
  EXPECT_THAT(job_.take_orders(), IsEmpty());
}

TEST_F(SupervisorTest, ASignalThatIsNotObeyedKillsAfterTheGrace) {
  start(3);
  job_.on_end_signal(SIGTERM, false, now_);
  EXPECT_EQ(order().kind, MessageKind::Signal);
  advance(2999ms);
  EXPECT_THAT(job_.take_orders(), IsEmpty());
  advance(1ms);
  EXPECT_EQ(order().time, 0);
  EXPECT_EQ(exit_code_of(job_.outcome()), 143);
}

TEST_F(SupervisorTest, TimeoutEndsTheJob) {
  job_ = Supervisor({.ranks = 3, .grace = 3s, .report_time = 1s, .timeout = 5s}, now_);
  start(3);
  advance(4999ms);
  EXPECT_EQ(job_.phase(), Phase::Running);
  advance(1ms);
  EXPECT_EQ(order().kind, MessageKind::End);
  EXPECT_EQ(job_.outcome().cause, Cause::Timeout);
  EXPECT_EQ(exit_code_of(job_.outcome()), 124);
}

TEST_F(SupervisorTest, WhatCannotStartEndsTheJob) {
  job_.on_message(about(MessageKind::StartFailed, 2, ENOENT), now_);
  EXPECT_EQ(job_.outcome().cause, Cause::StartFailed);
  EXPECT_EQ(exit_code_of(job_.outcome()), 127);
  EXPECT_EQ(job_.phase(), Phase::Reporting);
}

TEST_F(SupervisorTest, ALostKeeperIsALostRank) {
  start(3);
  job_.on_message(about(MessageKind::KeeperLost, 0, SIGKILL), now_);
  EXPECT_EQ(job_.outcome().cause, Cause::KeeperLost);
  EXPECT_EQ(order().time, Duration(2s).count());
  EXPECT_EQ(exit_code_of(job_.outcome()), 137);
}

TEST_F(SupervisorTest, ALostAgentLeavesTheEndToTheLauncher) {
  start(3);
  job_.on_agent_end(SIGKILL, now_);
  EXPECT_EQ(job_.outcome().cause, Cause::AgentLost);
  EXPECT_EQ(order().time, Duration(2s).count());
  advance(2500ms);
  EXPECT_EQ(order().time, 0);
}

TEST_F(SupervisorTest, TheEndOfAHostIsALossWhereItsRanksStillRun) {
  Supervisor::Settings settings;
  settings.ranks = 2;
  settings.hosts = {0, 1};
  Supervisor supervisor(settings, steady_now());
  supervisor.on_message({.kind = MessageKind::Exited, .rank = 1}, steady_now());
  supervisor.on_agent_end(9, steady_now(), 1);
  EXPECT_EQ(supervisor.outcome().cause, Cause::None);
  supervisor.on_agent_end(255 << 8, steady_now(), 0, Cause::HostLost);
  EXPECT_EQ(supervisor.outcome().cause, Cause::HostLost);
  EXPECT_EQ(supervisor.outcome().host, 0);
  EXPECT_EQ(supervisor.phase(), Supervisor::Phase::Ending);
}

TEST_F(SupervisorTest, TheAgentsEndAfterAllRanksIsNoLoss) {
  start(3);
  for (int rank = 0; rank < 3; ++rank) exits(rank, 0);
  job_.on_agent_end(0, now_);
  EXPECT_EQ(job_.outcome().cause, Cause::None);
}

TEST_F(SupervisorTest, NobodyReadingEndsTheJobQuietly) {
  start(3);
  job_.on_output_closed(now_);
  job_.on_output_closed(now_);
  EXPECT_EQ(order().kind, MessageKind::End);
  EXPECT_EQ(exit_code_of(job_.outcome()), 141);
}

TEST_F(SupervisorTest, IgnoresRanksThatAreNone) {
  for (const int rank : {-1, 3, 1 << 30}) exits(rank, exit_status(1));
  EXPECT_EQ(job_.outcome().cause, Cause::None);
}

std::string report_of(Outcome outcome, const std::vector<std::string>& lines = {}) {
  Tail tail;
  for (const std::string& line : lines) tail.add(line);
  return final_report(outcome, {"box", "/bin/prog", {0, 2}, 5s}, tail);
}

TEST(Report, SaysWhichRankFailedAndHow) {
  Outcome failed{
      .cause = Cause::RankFailed, .rank = 1, .value = exit_status(3), .pid = 42, .runtime = 2340ms};
  EXPECT_EQ(
      report_of(failed),
      "farandolerun: rank 1 (host box, pid 42) failed with exit code 3 after 2.34 s\n");
  EXPECT_EQ(
      report_of(failed, {"Traceback:", "ValueError: \x1b[1mno"}),
      "farandolerun: last output of rank 1:\n"
      "    Traceback:\n"
      "    ValueError: \\x1b[1mno\n"
      "farandolerun: rank 1 (host box, pid 42) failed with exit code 3 after 2.34 s; its last "
      "output: "
      "ValueError: \\x1b[1mno\n");
  failed.value = SIGKILL;
  failed.out_of_memory = true;
  failed.peak_kib = 3 << 20;
  EXPECT_EQ(
      report_of(failed),
      "farandolerun: rank 1 (host box, pid 42) was ended by SIGKILL after 2.34 s, out of memory: "
      "the "
      "kernel ended a process for it (the rank's peak was 3072 MiB)\n");
  failed.value = exit_status(139);
  failed.out_of_memory = false;
  EXPECT_EQ(
      report_of(failed),
      "farandolerun: rank 1 (host box, pid 42) failed with exit code 139 (SIGSEGV ended a process "
      "in "
      "it) after 2.34 s\n");
}

TEST(Report, SaysWhyElseAJobEnded) {
  EXPECT_EQ(report_of({}), "");
  EXPECT_EQ(
      report_of({.cause = Cause::StartFailed, .rank = 0, .value = ENOEXEC}),
      "farandolerun: rank 0 (host box) could not be started: /bin/prog: Exec format error\n");
  EXPECT_EQ(
      report_of({.cause = Cause::Timeout}),
      "farandolerun: the job was ended after 5.00 s (--timeout); ranks that were running: 0, 2\n");
  EXPECT_EQ(
      report_of({.cause = Cause::Signal, .value = SIGINT}),
      "farandolerun: the job was ended by SIGINT; ranks that were running: 0, 2\n");
  EXPECT_EQ(
      report_of({.cause = Cause::AgentLost, .value = SIGKILL}),
      "farandolerun: the agent on host box was ended by SIGKILL; its ranks were ended with it\n");
}

}  // namespace
}  // namespace farandole::launch

// Ranks that are lost, fall silent, accuse one another or leave.

#include <gmock/gmock.h>

#include "tests/controller/tcp_job.h"

namespace farandole {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

// All ranks but the lost one get one verdict, and the same.
void expect_lost(TcpJob& job, int lost, const ::testing::Matcher<const std::string&>& cause) {
  for (int rank = 0; rank < job.size(); ++rank) {
    if (rank == lost)
      continue;
    const std::vector<PeerFailure> failures = job[rank].sink.failures(1);
    ASSERT_FALSE(failures.empty()) << rank;
    EXPECT_EQ(failures[0].rank, lost);
    EXPECT_FALSE(failures[0].left);
    EXPECT_EQ(failures[0].code, Code::PeerLost);
    EXPECT_EQ(failures[0].host, job[rank].plane->members()[static_cast<size_t>(lost)].host);
    EXPECT_THAT(failures[0].cause, cause);
  }
}

TEST(TcpFailure, AWorkerThatClosesWithoutAGoodbyeIsLost) {
  TcpJob job(4);
  job.form();
  job[2].plane->stop(steady_now() + kPatience);
  expect_lost(job, 2, AnyOf(HasSubstr("connection closed"), HasSubstr("connection reset")));
  EXPECT_EQ(job[2].sink.failures_now(), 0u);
}

TEST(TcpFailure, RankZeroThatClosesWithoutAGoodbyeIsLost) {
  TcpJob job(3);
  job.form();
  job[0].plane->stop(steady_now() + kPatience);
  expect_lost(job, 0, AnyOf(HasSubstr("connection closed"), HasSubstr("connection reset")));
}

// Beats once an hour: its sockets are fine, and it answers, but it does not live.
TEST(TcpFailure, ASilentWorkerIsLost) {
  TcpJob job(3, [](int rank, TcpControlPlaneOptions& options) {
    options.config.heartbeat_interval = rank == 1 ? Duration(1h) : Duration(50ms);
    options.config.heartbeat_timeout = rank == 0 ? Duration(1s) : Duration(20s);
  });
  job.form();
  expect_lost(job, 1, says_silent_for_a_second());
  // It hears of it, and accuses nobody of having closed its connection.
  const PeerFailure own = job[1].sink.failures(1).at(0);
  EXPECT_EQ(own.rank, 1);
  EXPECT_THAT(own.cause, says_silent_for_a_second());
}

TEST(TcpFailure, ASilentRankZeroIsLost) {
  TcpJob job(2, [](int rank, TcpControlPlaneOptions& options) {
    options.config.heartbeat_interval = rank == 0 ? Duration(1h) : Duration(50ms);
    options.config.heartbeat_timeout = rank == 1 ? Duration(1s) : Duration(20s);
  });
  job.form();
  expect_lost(job, 0, says_silent_for_a_second());
  const PeerFailure own = job[0].sink.failures(1).at(0);
  EXPECT_EQ(own.rank, 0);
  EXPECT_THAT(own.cause, says_silent_for_a_second());
}

TEST(TcpFailure, AnAccusationBecomesTheVerdictOfAll) {
  TcpJob job(3);
  job.form();
  job[1].plane->report({.rank = 2, .cause = "moved no byte for 10 s", .code = Code::Timeout});
  for (int rank = 0; rank < 3; ++rank) {
    const PeerFailure failure = job[rank].sink.failures(1).at(0);
    EXPECT_EQ(failure.rank, 2);
    EXPECT_EQ(failure.code, Code::Timeout);
    EXPECT_THAT(failure.cause, HasSubstr("moved no byte for 10 s"));
  }
}

TEST(TcpFailure, ABrokenConnectionIsBetterEvidenceThanAnAccusation) {
  TcpJob job(4);
  job.form();
  job[1].plane->report({.rank = 3, .cause = "hearsay"});
  job[2].plane->stop(steady_now() + kPatience);
  expect_lost(job, 2, AnyOf(HasSubstr("connection closed"), HasSubstr("connection reset")));
}

TEST(TcpFailure, NothingIsAgreedAfterALoss) {
  TcpJob job(3);
  job.form();
  job[1].plane->announce({allreduce_of("t")});
  job[2].plane->stop(steady_now() + kPatience);
  job[0].sink.failures(1);
  job[1].sink.failures(1);
  job[0].plane->announce({allreduce_of("t")});
  job[0].io->run_and_wait([] {});
  EXPECT_TRUE(job[0].sink.agreements([](const auto&) { return true; }).empty());
  EXPECT_EQ(job[0].sink.failures_now(), 1u);
}

TEST(TcpFailure, AnOrderlyGoodbyeIsToldToAllAndHarmsNobody) {
  TcpJob job(3);
  job.form();
  job[1].leave_and_stop();
  for (const int rank : {0, 2}) {
    const PeerFailure failure = job[rank].sink.failures(1).at(0);
    EXPECT_EQ(failure.rank, 1);
    EXPECT_TRUE(failure.left);
    EXPECT_THAT(failure.cause, HasSubstr("shutdown"));
  }
  // The two that stayed can still use the store, and end in order themselves.
  EXPECT_TRUE(job[2].plane->store().set("after", {1}).is_ok());
  EXPECT_TRUE(job[0].plane->store().get("after", steady_now() + kPatience));
  job[2].leave_and_stop();
  job[0].leave_and_stop();
  EXPECT_EQ(job[0].sink.failures_now(), 3u) << "all of them left, none was lost";
}

TEST(TcpFailure, RankZeroMayLeaveFirst) {
  TcpJob job(3);
  job.form();
  std::thread leaver([&] { job[0].leave_and_stop(); });
  for (const int rank : {1, 2}) {
    const PeerFailure failure = job[rank].sink.failures(1).at(0);
    EXPECT_EQ(failure.rank, 0);
    EXPECT_TRUE(failure.left);
    job[rank].plane->finished();
  }
  leaver.join();
  // No coordinator acknowledges their goodbyes any more; they end all the same, and quickly.
  const TimePoint begin = steady_now();
  for (const int rank : {1, 2}) {
    job[rank].leave_and_stop();
    EXPECT_EQ(job[rank].sink.failures_now(), 2u);
  }
  EXPECT_LT(steady_now() - begin, kPatience / 2);
}

TEST(TcpFailure, ARankThatClosesAfterItsGoodbyeButBeforeItFinishedIsLost) {
  TcpJob job(3);
  job.form();
  job[2].plane->leave("shutdown");
  EXPECT_TRUE(job[2].sink.failure_of(2).left);
  job[2].plane->stop(steady_now() + kPatience);
  for (const int rank : {0, 1}) {
    const std::vector<PeerFailure> failures = job[rank].sink.failures(2);
    EXPECT_TRUE(failures[0].left);
    EXPECT_EQ(failures[1].rank, 2);
    EXPECT_FALSE(failures[1].left);
    EXPECT_THAT(failures[1].cause, HasSubstr("before it had finished what was agreed upon"));
  }
}

TEST(TcpFailure, RankZeroThatClosesAfterItsGoodbyeButBeforeItFinishedIsLost) {
  TcpJob job(2);
  job.form();
  job[0].plane->leave("shutdown");
  EXPECT_TRUE(job[1].sink.failure_of(0).left);
  job[0].plane->stop(steady_now());
  const PeerFailure failure = job[1].sink.failures(2).at(1);
  EXPECT_EQ(failure.rank, 0);
  EXPECT_FALSE(failure.left);
}

// Rank 0 has done its part, and is still the one that tells the others who is lost.
TEST(TcpFailure, RankZeroStaysUntilAllHaveFinished) {
  TcpJob job(3);
  job.form();
  std::thread leaver([&] { job[0].leave_and_stop(); });
  for (const int rank : {1, 2}) EXPECT_TRUE(job[rank].sink.failure_of(0).left);
  EXPECT_TRUE(job[1].plane->store().set("still", {1}).is_ok());
  EXPECT_TRUE(job[2].plane->store().get("still", steady_now() + kPatience));
  job[1].plane->stop(steady_now() + kPatience);
  const PeerFailure failure = job[2].sink.failures(2).at(1);
  EXPECT_EQ(failure.rank, 1);
  EXPECT_FALSE(failure.left);
  leaver.join();
}

TEST(TcpFailure, RankZeroWaitsForTheOthersNoLongerThanItsDeadline) {
  TcpJob job(2);
  job.form();
  job[0].plane->leave("shutdown");
  EXPECT_TRUE(job[0].sink.failure_of(0).left);
  job[0].plane->finished();
  const TimePoint begin = steady_now();
  job[0].plane->stop(begin + 100ms);
  EXPECT_GE(steady_now() - begin, 100ms);
  EXPECT_EQ(job[1].sink.failures(2).at(1).rank, 0);
}

// What the loop may still use outlives the control plane, and stop says so.
TEST(TcpFailure, StopDoesNotWaitForALoopThatIsBlocked) {
  const auto gate = std::make_shared<std::promise<void>>();
  const auto entered = std::make_shared<std::promise<void>>();
  TcpJob job(2, [](int, TcpControlPlaneOptions& options) { options.loop_limit = 50ms; });
  job.form();
  const std::shared_ptr<net::IoThread> io = job[1].io;
  io->post([gate, entered] {
    entered->set_value();
    gate->get_future().wait();
  });
  entered->get_future().wait();
  EXPECT_FALSE(job[1].plane->stop(steady_now()));
  EXPECT_FALSE(job[1].plane->stop(steady_now() + kPatience));
  job[1].plane.reset();
  gate->set_value();
  // The loop goes on, with all that it uses, and the last that it may tell its sink comes.
  EXPECT_TRUE(job[0].plane->stop(steady_now()));
  EXPECT_EQ(job[1].sink.failures(1).at(0).rank, 0);
}

TEST(TcpFailure, AllMayLeaveAtOnce) {
  for (int i = 0; i < 10; ++i) {
    TcpJob job(4);
    job.form();
    job.on_all([](TcpRank& rank) {
      rank.leave_and_stop();
      // Said goodbye to, never lost.
      for (const PeerFailure& failure : rank.sink.failures(1))
        EXPECT_TRUE(failure.left) << failure.rank << ": " << failure.cause;
    });
  }
}

TEST(TcpFailure, WhatWasAgreedBeforeAGoodbyeStillArrives) {
  TcpJob job(2);
  job.form();
  for (int i = 0; i < 100; ++i)
    for (int rank = 0; rank < 2; ++rank)
      job[rank].plane->announce({allreduce_of("t" + std::to_string(i))});
  job[1].leave_and_stop();
  // Each of the hundred was agreed upon by both, or by none.
  EXPECT_EQ(
      ready_names(job[1].sink.agreements([](const auto&) { return true; })),
      ready_names(job[0].sink.agreements([](const auto&) { return true; })));
}

// Who let go of it last on the loop itself would wait there for its own end.
TEST(TcpFailure, WhatIsStillQueuedOnTheLoopDoesNotKeepIt) {
  TcpJob job(2);
  job.form();
  TcpRank& rank = job[1];
  ASSERT_TRUE(rank.plane->stop(steady_now() + kPatience));
  std::promise<void> go_on;
  rank.io->post([gate = go_on.get_future().share()] { gate.wait(); });
  rank.plane->backlog(0);
  rank.plane.reset();
  EXPECT_EQ(rank.io.use_count(), 1);
  go_on.set_value();
}

TEST(TcpFailure, NoCallbackComesAfterStop) {
  TcpJob job(2);
  job.form();
  for (int i = 0; i < 200; ++i)
    for (int rank = 0; rank < 2; ++rank)
      job[rank].plane->announce({allreduce_of("t" + std::to_string(i))});
  job[1].plane->stop(steady_now() + kPatience);
  const auto all = [](const auto&) { return true; };
  const size_t agreements = job[1].sink.agreements(all).size();
  job[0].sink.failures(1);
  EXPECT_EQ(job[1].sink.agreements(all).size(), agreements);
  job[1].plane->announce({allreduce_of("late")});
  job[1].plane->report({.rank = 0, .cause = "late"});
  job[1].plane->stop(steady_now());
  EXPECT_EQ(job[1].sink.failures_now(), 0u);
}

}  // namespace
}  // namespace farandole

// Operations that some ranks wait for and others have not submitted.

#include <gmock/gmock.h>

#include "tests/protocol/cluster_test.h"

namespace farandole::control {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class StallTest : public ::testing::Test {
 protected:
  void start(StallPolicy policy, size_t size = 4) {
    cluster_ = std::make_unique<Cluster>(Cluster::Options{
        .limits = small_limits(size), .process_sets = {{1, {1, 2}}}, .stalls = policy});
    cluster_->form();
  }
  void submit(int rank, const std::string& name, uint32_t set = 0) {
    Announcement item = tensor(name, allreduce({4}));
    item.signature.process_set = set;
    cluster_->announce(rank, {item});
    cluster_->settle();
  }
  void join(int rank) {
    cluster_->announce(rank, {{{}, {.kind = CollectiveKind::Join}}});
    cluster_->settle();
  }
  void at(Duration since_start) {
    cluster_->now = kStart + since_start;
    cluster_->act(cluster_->coordinator().tick(cluster_->now));
    cluster_->settle();
  }
  // The policy's limit has come, and what had come by then was read.
  void pass(Duration since_start) {
    at(since_start);
    EXPECT_FALSE(cluster_->coordinator().failed());
    at(since_start + Coordinator::kReadOn);
  }
  void answer(int rank, const std::string& text) {
    const auto& asked = cluster_->seen(rank).questions;
    ASSERT_FALSE(asked.empty());
    cluster_->act(rank, cluster_->worker(rank).answer(asked.back(), text));
    cluster_->settle();
  }
  // The one that has been told.
  StallReport report() {
    EXPECT_THAT(cluster_->reports, SizeIs(1));
    return cluster_->reports.empty() ? StallReport{} : std::exchange(cluster_->reports, {})[0];
  }
  bool silent() const { return cluster_->reports.empty(); }

  std::unique_ptr<Cluster> cluster_;
};

TEST_F(StallTest, NamesTheTensorWhoSubmittedItAndWhoDidNotAndTellsWhatTheseSay) {
  start({.report = 10s});
  EXPECT_EQ(cluster_->coordinator().deadline(), std::nullopt);
  submit(0, "x");
  submit(3, "x");
  EXPECT_EQ(cluster_->coordinator().deadline(), kStart + 10s);
  at(9s);
  EXPECT_THAT(cluster_->seen(1).questions, IsEmpty());
  at(10s);
  EXPECT_THAT(cluster_->seen(0).questions, IsEmpty());
  EXPECT_TRUE(silent());
  answer(2, "thread A:\n  line 3");
  EXPECT_TRUE(silent());
  answer(1, "\x1b[2J");
  const StallReport told = report();
  ASSERT_THAT(told.stalls, SizeIs(1));
  EXPECT_THAT(told.stalls[0].submitted, ElementsAre(0, 3));
  EXPECT_THAT(told.stalls[0].missing, ElementsAre(1, 2));
  EXPECT_THAT(
      lines_of(told),
      ElementsAre(
          "allreduce \"x\" has waited for 10 s: ranks 0 and 3 have submitted it, ranks 1-2 have "
          "not",
          "  rank 1, which is waited for:",
          "    \\x1b[2J",
          "  rank 2, which is waited for:",
          "    thread A:",
          "      line 3"));
}

TEST_F(StallTest, IsToldAgainAfterEverLongerTimesAndNotOnceItIsOver) {
  start({.report = 10s});
  submit(0, "x");
  for (const Duration when : {10s, 20s, 40s}) {
    at(when);
    for (const int rank : {1, 2, 3}) answer(rank, "here");
    EXPECT_EQ(report().stalls.at(0).age, when);
    at(when + 9s);
    EXPECT_TRUE(silent());
  }
  for (const int rank : {1, 2, 3}) submit(rank, "x");
  at(1000s);
  EXPECT_TRUE(silent());
  EXPECT_EQ(cluster_->coordinator().deadline(), std::nullopt);
}

TEST_F(StallTest, WhoDoesNotAnswerDelaysTheReportAndIsAskedNothingElseMeanwhile) {
  start({.report = 10s}, 2);
  submit(0, "x");
  at(10s);
  EXPECT_TRUE(silent());
  at(10s + StallPolicy::kMostPatience);
  EXPECT_THAT(report().testimonies, ElementsAre(Testimony{1, "does not answer"}));
  at(20s);
  EXPECT_THAT(cluster_->seen(1).questions, SizeIs(1));
  EXPECT_THAT(
      report().testimonies,
      ElementsAre(Testimony{1, "has not answered since it was asked before"}));
  answer(1, "late");
  EXPECT_TRUE(silent());
  EXPECT_FALSE(cluster_->coordinator().failed());
  at(40s);
  EXPECT_THAT(cluster_->seen(1).questions, SizeIs(2));
  answer(1, "there");
  EXPECT_THAT(report().testimonies, ElementsAre(Testimony{1, "there"}));
}

TEST_F(StallTest, WhatHasWaitedForLongMeanwhileIsToldWithIt) {
  start({.report = 2s}, 2);
  submit(0, "x");
  cluster_->now = kStart + 1s;
  submit(0, "y");
  at(2s);
  EXPECT_THAT(cluster_->seen(1).questions, SizeIs(1));
  at(3s);
  EXPECT_THAT(cluster_->seen(1).questions, SizeIs(1));
  EXPECT_TRUE(silent());
  answer(1, "here");
  const StallReport told = report();
  ASSERT_THAT(told.stalls, SizeIs(2));
  EXPECT_EQ(told.stalls[1].name, "y");
  EXPECT_THAT(told.testimonies, SizeIs(1));
}

TEST_F(StallTest, ALongWaitDelaysNoReportOfAnother) {
  start({.report = 1s}, 2);
  submit(0, "x");
  for (const Duration when : {1s, 2s, 4s, 8s, 16s}) {
    at(when);
    answer(1, "");
    EXPECT_EQ(report().stalls.size(), 1U);
  }
  submit(0, "y");
  at(17s);
  answer(1, "");
  EXPECT_EQ(report().stalls.at(0).name, "y");
}

TEST_F(StallTest, SetsAndJoinsAreNamed) {
  start({.report = 10s});
  submit(1, "y", 1);
  at(10s);
  answer(2, "");
  EXPECT_EQ(
      lines_of(report())[0],
      "allreduce \"y\" (process set 1) has waited for 10 s: rank 1 has submitted it, rank 2 has "
      "not");
  submit(2, "y", 1);
  join(0);
  submit(1, "x");
  submit(2, "x");
  at(20s);
  for (const int rank : {1, 2, 3}) answer(rank, "");
  std::vector<std::string> lines;
  for (const Stall& stall : report().stalls) lines.push_back(text_of(stall));
  EXPECT_THAT(
      lines,
      ElementsAre(
          "join has waited for 10 s: rank 0 has joined, ranks 1-3 have not",
          "allreduce \"x\" has waited for 10 s: ranks 1-2 have submitted it, rank 0 has joined, "
          "rank 3 has not"));
}

// Its data has ended earlier than that of the others, and that is all.
TEST_F(StallTest, AJoinDoesNotWaitTooLongWhileTheOthersGoOn) {
  start({.report = 10s, .abort = 15s}, 3);
  join(0);
  for (const Duration when : {8s, 16s, 24s}) {
    at(when);
    submit(1, "x");
    submit(2, "x");
    EXPECT_EQ(cluster_->seen(0).agreements.back().ready.size(), 1U);
  }
  EXPECT_THAT(cluster_->seen(1).questions, IsEmpty());
  at(33s);
  EXPECT_TRUE(silent());
  at(34s);
  for (const int rank : {1, 2}) answer(rank, "");
  EXPECT_EQ(report().stalls.at(0).kind, CollectiveKind::Join);
}

TEST_F(StallTest, AJoinDoesNotWaitTooLongWhileTheOthersWorkInAnotherSet) {
  start({.report = 10s}, 3);
  join(0);
  for (const Duration when : {8s, 16s}) {
    at(when);
    submit(1, "x", 1);
    submit(2, "x", 1);
  }
  at(25s);
  EXPECT_TRUE(silent());
  EXPECT_THAT(cluster_->seen(1).questions, IsEmpty());
  at(26s);
  for (const int rank : {1, 2}) answer(rank, "");
  EXPECT_EQ(report().stalls.at(0).age, 10s);
}

TEST_F(StallTest, AJoinWaitsForWhoDoesNothingThoughOthersDo) {
  start({.report = 10s}, 4);
  join(0);
  at(8s);
  submit(1, "x", 1);
  submit(2, "x", 1);
  at(10s);
  for (const int rank : {1, 2, 3}) answer(rank, "");
  EXPECT_EQ(report().stalls.at(0).kind, CollectiveKind::Join);
}

TEST(Readiness, EachAnnouncementIsHeardWithTheMarkOfItsTensor) {
  std::vector<std::string> heard;
  uint64_t marks = 0;
  Readiness readiness(small_limits(2), {}, [&](const Announced& announced, uint64_t& mark) {
    if (mark == 0)
      mark = ++marks;
    heard.push_back(std::to_string(announced.rank) + std::string(announced.name));
    heard.back() += std::to_string(mark) + (announced.when == kStart + 1s ? "" : " late");
  });
  readiness.at(kStart + 1s);
  for (const int rank : {1, 0}) {
    ASSERT_TRUE(readiness.announce(rank, tensor("a", allreduce({4}))));
    ASSERT_TRUE(readiness.announce(rank, tensor("b", allreduce({4}))));
  }
  const uint32_t id = readiness.take().at(0).details.at(0).id;
  ASSERT_TRUE(readiness.announce_cached(1, id));
  EXPECT_FALSE(readiness.announce_cached(1, id));  // twice: counts once
  EXPECT_THAT(heard, ElementsAre("1a1", "1b2", "0a1", "0b2", "1a1"));
}

TEST_F(StallTest, ManyAreToldByTheOldest) {
  start({.report = 10s}, 2);
  for (int i = 40; i-- > 0;) {
    cluster_->now += 1s;
    submit(0, std::to_string(i));
  }
  at(60s);
  answer(1, "");
  const StallReport told = report();
  ASSERT_THAT(told.stalls, SizeIs(StallReport::kMost));
  for (size_t i = 0; i < StallReport::kMost; ++i)
    EXPECT_EQ(told.stalls[i].name, std::to_string(39 - i));
  EXPECT_EQ(told.more, 40 - StallReport::kMost);
}

TEST_F(StallTest, OfManyMissingRanksSomeAreAsked) {
  constexpr int kRanks = 12, kAsked = static_cast<int>(Inquiries::kMostAsked);
  start({.report = 10s}, kRanks);
  submit(0, "x");
  at(10s);
  for (int rank = 1; rank < kRanks; ++rank)
    EXPECT_THAT(cluster_->seen(rank).questions, SizeIs(rank <= kAsked ? 1 : 0)) << rank;
  for (int rank = 1; rank <= kAsked; ++rank) answer(rank, "there");
  const StallReport told = report();
  EXPECT_THAT(told.stalls.at(0).missing, SizeIs(kRanks - 1));
  EXPECT_THAT(told.testimonies, SizeIs(kAsked));
}

TEST_F(StallTest, WhatIsKnownWhenTheJobEndsIsTold) {
  start({.report = 10s, .abort = 12s});
  for (const int rank : {0, 3}) submit(rank, "x");
  at(10s);
  answer(1, "there");
  EXPECT_TRUE(silent());
  pass(12s);
  EXPECT_TRUE(cluster_->coordinator().failed());
  EXPECT_THAT(
      report().testimonies, ElementsAre(Testimony{1, "there"}, Testimony{2, "does not answer"}));
}

TEST_F(StallTest, ThePolicyEndsTheJobOnAllRanks) {
  start({.report = 10s, .abort = 25s});
  for (const int rank : {0, 1, 3}) submit(rank, "x");
  at(10s);
  pass(25s);
  for (int rank = 0; rank < 4; ++rank) {
    ASSERT_THAT(cluster_->seen(rank).failures, SizeIs(1));
    const PeerFailure& failure = cluster_->seen(rank).failures[0];
    EXPECT_EQ(failure.code, Code::Timeout);
    EXPECT_EQ(failure.rank, 2);
    EXPECT_EQ(
        failure.cause,
        "allreduce \"x\" has waited for 25 s: ranks 0-1 and 3 have submitted it, rank 2 has not "
        "(FARANDOLE_STALL_SHUTDOWN_TIME; raise it, or set 0, where ranks may be as late)");
  }
  EXPECT_EQ(cluster_->coordinator().deadline(), std::nullopt);
}

TEST_F(StallTest, AloneThePolicyReportsNothing) {
  start({.abort = 5s});
  submit(0, "x");
  at(4s);
  EXPECT_TRUE(silent());
  pass(5s);
  EXPECT_TRUE(cluster_->coordinator().failed());
  EXPECT_EQ(cluster_->seen(0).failures.at(0).rank, -1);
}

// It was stopped, say: what ended the wait has come meanwhile, and is read after the timer.
TEST_F(StallTest, ACoordinatorThatComesLateReadsBeforeItEndsTheJob) {
  start({.abort = 5s}, 2);
  submit(0, "x");
  cluster_->announce(1, {tensor("x", allreduce({4}))});
  at(60s);
  EXPECT_EQ(cluster_->seen(0).agreements.back().ready.size(), 1U);
  at(60s + Coordinator::kReadOn);
  EXPECT_FALSE(cluster_->coordinator().failed());
  EXPECT_EQ(cluster_->coordinator().deadline(), std::nullopt);
}

TEST_F(StallTest, AnotherWaitIsLookedAtTwiceItself) {
  start({.abort = 5s}, 2);
  submit(0, "x");
  cluster_->now = kStart + 1s;
  submit(0, "y");
  at(5s);
  submit(1, "x");
  at(60s);  // late again
  EXPECT_FALSE(cluster_->coordinator().failed());
  at(60s + Coordinator::kReadOn);
  ASSERT_TRUE(cluster_->coordinator().failed());
  EXPECT_THAT(cluster_->seen(0).failures.at(0).cause, HasSubstr("\"y\""));
}

// What is announced meanwhile has itself looked at earlier.
TEST_F(StallTest, NoShorterPolicyIsBelievedSooner) {
  start({.abort = 20ms}, 2);
  submit(0, "x");
  at(20ms);
  cluster_->now = kStart + 30ms;
  submit(0, "y");
  EXPECT_EQ(cluster_->coordinator().deadline(), kStart + 50ms);
  at(50ms);
  EXPECT_FALSE(cluster_->coordinator().failed());
  EXPECT_EQ(cluster_->coordinator().deadline(), kStart + 20ms + Coordinator::kReadOn);
  at(20ms + Coordinator::kReadOn);
  ASSERT_TRUE(cluster_->coordinator().failed());
  EXPECT_THAT(cluster_->seen(0).failures.at(0).cause, HasSubstr("\"x\""));
}

TEST_F(StallTest, WithoutAPolicyNobodyLooks) {
  start({});
  submit(0, "x");
  EXPECT_EQ(cluster_->coordinator().deadline(), std::nullopt);
}

TEST_F(StallTest, WhoAnswersWhatItWasNotAskedIsBlamed) {
  start({.report = 10s}, 2);
  submit(0, "x");
  at(10s);
  answer(1, "first");
  Envelope envelope{.epoch = 1, .job = kJob, .incarnation = 1001, .seq = 100};
  cluster_->up(1).push_back(encode(envelope, Answer{1, "second"}));
  cluster_->settle();
  ASSERT_THAT(cluster_->seen(0).failures, SizeIs(1));
  EXPECT_EQ(cluster_->seen(0).failures[0].rank, 1);
  EXPECT_THAT(cluster_->seen(0).failures[0].cause, HasSubstr("which it was not asked"));
}

TEST_F(StallTest, ACoordinatorThatAsksTwiceAtOnceIsBlamed) {
  start({}, 2);
  Envelope envelope{.epoch = 1, .job = kJob, .incarnation = 1000, .seq = 100};
  for (const uint64_t number : {1, 2}) {
    cluster_->down(1).push_back(encode(envelope, Inquiry{number}));
    ++envelope.seq;
  }
  cluster_->settle();
  ASSERT_THAT(cluster_->seen(1).failures, SizeIs(1));
  EXPECT_EQ(cluster_->seen(1).failures[0].rank, 0);
}

TEST_F(StallTest, ALongAnswerIsCut) {
  start({.report = 10s}, 2);
  submit(0, "x");
  at(10s);
  answer(1, std::string(kMaxStackBytes + 1, 'a'));
  EXPECT_EQ(report().testimonies.at(0).text.size(), kMaxStackBytes);
}

}  // namespace
}  // namespace farandole::control

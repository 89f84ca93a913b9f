// Who is lost, who has left, and who is blamed.

#include "tests/protocol/cluster_test.h"

namespace farandole::control {
namespace {

using std::chrono_literals::operator""ms;
using testing::ElementsAre;
using testing::IsEmpty;

class FailureTest : public ClusterTest {};

TEST_F(FailureTest, ALostRankIsToldToAllOthersOnce) {
  make(3);
  announce_all("a", allreduce({1}));
  for (int rank = 0; rank < 3; ++rank) cluster_->step_up(rank);
  cluster_->act(cluster_->coordinator().on_lost(1, "its control connection closed"));
  EXPECT_FALSE(cluster_->down_waiting(1));
  cluster_->act(cluster_->coordinator().on_lost(2, "its control connection closed"));
  cluster_->settle();
  for (const int rank : {0, 2}) {
    EXPECT_THAT(told(rank), IsEmpty());  // no agreement any more
    EXPECT_THAT(
        failures(rank),
        ElementsAre(
            PeerFailure{.rank = 1, .host = "host1", .cause = "its control connection closed"}));
  }
}

// It may only have been stopped: told of the verdict, it accuses nobody when it wakes.
TEST_F(FailureTest, ASilentRankIsToldLikeAllOthers) {
  make(3);
  cluster_->act(cluster_->coordinator().on_silent(1, "no heartbeat for 3.0 s"));
  cluster_->settle();
  for (int rank = 0; rank < 3; ++rank)
    EXPECT_THAT(
        failures(rank),
        ElementsAre(PeerFailure{.rank = 1, .host = "host1", .cause = "no heartbeat for 3.0 s"}));
  EXPECT_THAT(cluster_->closed, ElementsAre(CloseRank{1, "no heartbeat for 3.0 s"}));
  EXPECT_THAT(cluster_->coordinator().on_lost(1, "connection closed"), IsEmpty());
}

TEST_F(FailureTest, ASilentRankThatHadFinishedHarmsNobody) {
  make(2);
  finish(1);
  EXPECT_THAT(
      cluster_->coordinator().on_silent(1, "no heartbeat"),
      ElementsAre(Action(CloseRank{1, "no heartbeat"})));
  EXPECT_FALSE(cluster_->coordinator().failed());
}

TEST_F(FailureTest, WhoGaveUpASilentCoordinatorIsNotBlamedForGoing) {
  make(3);
  for (const int rank : {1, 2}) cluster_->act(rank, cluster_->worker(rank).on_silent("silent"));
  // It wakes: whatever comes first of those who went, they said why before.
  for (const int rank : {1, 2}) cluster_->step_up(rank);
  cluster_->act(cluster_->coordinator().on_lost(2, "connection closed"));
  cluster_->act(cluster_->coordinator().on_lost(1, "connection closed"));
  cluster_->settle();
  for (int rank = 0; rank < 3; ++rank)
    EXPECT_THAT(
        failures(rank), ElementsAre(PeerFailure{.rank = 0, .host = "host0", .cause = "silent"}));
}

// The last to join may be heard before those who gave up: they do not know that the group formed.
TEST_F(FailureTest, WhoGaveUpASilentCoordinatorWhileTheGroupFormedIsNotBlamedForGoing) {
  cluster_ = std::make_unique<Cluster>(3);
  for (int rank = 0; rank < 3; ++rank)
    cluster_->act(rank, cluster_->worker(rank).join({rank, "host0", 100 + rank, ""}, {}));
  cluster_->act(1, cluster_->worker(1).on_silent("silent"));
  ASSERT_TRUE(cluster_->seen(1).not_formed);
  for (const int rank : {1, 0, 2, 1}) cluster_->step_up(rank);  // formed by the third
  cluster_->act(cluster_->coordinator().on_lost(1, "connection closed"));
  cluster_->settle();
  for (const int rank : {0, 2})
    EXPECT_THAT(
        failures(rank), ElementsAre(PeerFailure{.rank = 0, .host = "host0", .cause = "silent"}));
}

TEST_F(FailureTest, AnAccusationBecomesTheVerdictAfterAWhile) {
  make(3);
  const PeerFailure accusation{.rank = 2, .cause = "no byte in 10 s", .code = Code::Timeout};
  EXPECT_EQ(cluster_->coordinator().deadline(), std::nullopt);
  cluster_->act(1, cluster_->worker(1).report(accusation));
  cluster_->settle();
  cluster_->act(0, cluster_->worker(0).report({.rank = 1, .cause = "late"}));
  cluster_->settle();
  ASSERT_EQ(cluster_->coordinator().deadline(), kStart + ControlPlane::kConfirm);
  EXPECT_THAT(cluster_->coordinator().tick(kStart + ControlPlane::kConfirm - 1ms), IsEmpty());
  cluster_->act(cluster_->coordinator().tick(kStart + ControlPlane::kConfirm));
  cluster_->settle();
  for (int rank = 0; rank < 3; ++rank)
    EXPECT_THAT(
        failures(rank),
        ElementsAre(PeerFailure{
            .rank = 2, .host = "host2", .cause = "no byte in 10 s", .code = Code::Timeout}));
  EXPECT_EQ(cluster_->coordinator().deadline(), std::nullopt);
}

TEST_F(FailureTest, ABrokenConnectionIsBetterEvidence) {
  make(3);
  cluster_->act(1, cluster_->worker(1).report({.rank = 0, .cause = "no byte in 10 s"}));
  cluster_->settle();
  cluster_->act(cluster_->coordinator().on_lost(2, "gone"));
  cluster_->act(cluster_->coordinator().tick(kStart + std::chrono::hours(1)));
  cluster_->settle();
  for (const int rank : {0, 1}) {
    ASSERT_EQ(failures(rank).size(), 1U);
    EXPECT_EQ(failures(rank)[0].rank, 2);
  }
}

TEST_F(FailureTest, AGoodbyeComesAfterWhatWasReadyAndRejectsTheRest) {
  make(3);
  announce_all("ready", allreduce({1}));
  announce(1, "pending", allreduce({1}));
  for (int rank = 0; rank < 3; ++rank)
    while (cluster_->up_waiting(rank)) cluster_->step_up(rank);
  cluster_->act(2, cluster_->worker(2).leave());
  cluster_->settle();
  const PeerFailure left{.rank = 2, .host = "host2", .cause = "shutdown", .left = true};
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_THAT(failures(rank), ElementsAre(left));
    EXPECT_THAT(told(rank)[0].ready, ElementsAre(ReadyOp{"ready", 0, {}}));
  }
  EXPECT_EQ(told(2).size(), 1U);
  ASSERT_EQ(told(1).size(), 2U);
  EXPECT_EQ(
      told(1)[1].rejected[0],
      (Rejection{
          "pending",
          0,
          Status(
              Code::PeerLost, "allreduce \"pending\": rank 2 (host host2) left the job: shutdown")
              .blame(2)}));
  // Its connection may close once it has carried out its part.
  cluster_->act(2, cluster_->worker(2).finished());
  cluster_->settle();
  EXPECT_THAT(cluster_->coordinator().on_lost(2, "closed"), IsEmpty());
  EXPECT_TRUE(cluster_->coordinator().left(2));
}

TEST_F(FailureTest, AGoodbyeSaysWhy) {
  for (const int leaver : {0, 2}) {
    make(3);
    announce(1, "pending", allreduce({1}));
    const std::string cause = "its \x1b[31mprogram ended without shutdown";
    const std::string shown = "its \\x1b[31mprogram ended without shutdown";
    cluster_->act(leaver, cluster_->worker(leaver).leave(cause));
    cluster_->settle();
    for (int rank = 0; rank < 3; ++rank) {
      ASSERT_EQ(failures(rank).size(), 1U);
      EXPECT_EQ(failures(rank)[0].cause, shown);
    }
    EXPECT_THAT(told(1).back().rejected[0].why.message(), ::testing::EndsWith(": " + shown));
  }
}

TEST_F(FailureTest, AfterAGoodbyeWhatNeedsTheRankIsRejectedAtOnce) {
  make(3);
  step("cached", allreduce({1}));
  cluster_->act(1, cluster_->worker(1).leave());
  cluster_->settle();
  announce(0, "late", allreduce({1}));
  announce(2, "cached", allreduce({1}));
  Signature other = allreduce({1});
  other.process_set = 1;  // ranks 0 and 2
  announce(0, "fine", other);
  announce(2, "fine", other);
  cluster_->settle();
  std::vector<std::string> rejected, ready;
  for (const Agreement& agreement : told(0)) {
    for (const Rejection& rejection : agreement.rejected) rejected.push_back(rejection.name);
    for (const ReadyOp& op : agreement.ready) ready.push_back(op.name);
  }
  EXPECT_THAT(rejected, ElementsAre("late", "cached"));
  EXPECT_THAT(ready, ElementsAre("cached", "fine"));
  EXPECT_EQ(cluster_->coordinator().pending(), 0U);
}

TEST_F(FailureTest, WhoLeftButHasNotFinishedCanBeLost) {
  for (const bool silent : {false, true}) {
    make(3);
    cluster_->act(2, cluster_->worker(2).leave());
    cluster_->settle();
    Coordinator& judge = cluster_->coordinator();
    cluster_->act(silent ? judge.on_silent(2, "no beat") : judge.on_lost(2, "closed"));
    cluster_->settle();
    const std::string cause = std::string(silent ? "no beat" : "closed") +
                              ", before it had finished what was agreed upon";
    for (const int rank : {0, 1}) {
      ASSERT_EQ(failures(rank).size(), 2U);
      EXPECT_EQ(failures(rank)[1], (PeerFailure{.rank = 2, .host = "host2", .cause = cause}));
    }
    EXPECT_TRUE(judge.failed());
  }
}

TEST_F(FailureTest, WhoHasFinishedIsToldNothingMore) {
  make(3);
  finish(1);
  cluster_->act(2, cluster_->worker(2).leave());
  cluster_->act(cluster_->coordinator().on_lost(0, "closed"));
  cluster_->settle();
  EXPECT_EQ(failures(1).size(), 1U);
}

// All stay together until each has carried out what was agreed upon.
TEST_F(FailureTest, WhenRankZeroHasLeftItStaysUntilAllHaveFinished) {
  make(3);
  EXPECT_FALSE(cluster_->coordinator().concluded());
  finish(0);
  for (const int rank : {1, 2}) {
    EXPECT_FALSE(cluster_->coordinator().concluded());
    // It need not have said goodbye itself: nothing is agreed upon any more.
    cluster_->act(rank, cluster_->worker(rank).finished());
    cluster_->settle();
    EXPECT_THAT(cluster_->coordinator().on_lost(rank, "closed"), IsEmpty());
  }
  EXPECT_TRUE(cluster_->coordinator().concluded());
  EXPECT_FALSE(cluster_->coordinator().failed());
}

TEST_F(FailureTest, ALossConcludesToo) {
  make(3);
  finish(0);
  cluster_->act(cluster_->coordinator().on_lost(1, "closed"));
  EXPECT_TRUE(cluster_->coordinator().concluded());
  cluster_->settle();
  EXPECT_EQ(failures(2).back().rank, 1);
  EXPECT_EQ(failures(0).size(), 1U);  // it had finished
}

TEST_F(FailureTest, AnAccusationAfterRankZeroHasFinishedBecomesTheVerdict) {
  make(3);
  finish(0);
  cluster_->act(1, cluster_->worker(1).report({.rank = 2, .cause = "no byte in 10 s"}));
  cluster_->settle();
  cluster_->act(cluster_->coordinator().tick(kStart + ControlPlane::kConfirm));
  cluster_->settle();
  for (const int rank : {1, 2}) EXPECT_EQ(failures(rank).back().cause, "no byte in 10 s");
}

TEST_F(FailureTest, BlamesWhoHasFinishedBeforeAnybodyLeft) {
  make(3);
  forge(Finished{});
  expect_blame("it said that it had finished, but nobody had left");
}

TEST_F(FailureTest, BlamesWhoSpeaksAfterItsLastWord) {
  make(3);
  forge(Leave{});
  forge(Finished{}, 3);
  EXPECT_FALSE(cluster_->coordinator().failed());
  forge(Announce{{tensor("a", allreduce({1}))}, {}}, 4);
  EXPECT_EQ(failures(0).back().rank, 1);
  EXPECT_THAT(failures(0).back().cause, testing::HasSubstr("speak after its last word"));
}

TEST_F(FailureTest, ALeavingRankMayUseTheStoreMeanwhile) {
  make(2);
  cluster_->act(1, cluster_->worker(1).store_get(7, "key"));
  cluster_->act(1, cluster_->worker(1).leave());
  cluster_->settle();
  cluster_->act(0, cluster_->worker(0).store_set(1, "key", {5}));
  cluster_->settle();
  EXPECT_THAT(cluster_->seen(1).replies, ElementsAre(StoreReply{7, Status::ok(), {5}}));
}

TEST_F(FailureTest, WhenRankZeroLeavesAllIsRejected) {
  make(3);
  Signature other = allreduce({1});
  other.process_set = 1;
  announce(2, "of another set", other);
  announce(1, "pending", allreduce({1}));
  cluster_->act(0, cluster_->worker(0).leave());
  cluster_->settle();
  for (int rank = 0; rank < 3; ++rank) {
    ASSERT_EQ(failures(rank).size(), 1U);
    EXPECT_EQ(failures(rank)[0].rank, 0);
    EXPECT_TRUE(failures(rank)[0].left);
  }
  EXPECT_EQ(told(1).back().rejected[0].name, "pending");
  EXPECT_EQ(told(2).back().rejected[0].name, "of another set");
  EXPECT_EQ(cluster_->coordinator().pending(), 0U);  // and nothing is counted any more
  forge(Announce{{tensor("crossing", allreduce({1}))}, {}}, 3);
  EXPECT_EQ(cluster_->coordinator().pending(), 0U);
  announce(2, "late", other);
  EXPECT_EQ(
      told(2).back().rejected[0].why,
      Status(
          Code::PeerLost,
          "allreduce \"late\": rank 0 (host host0) left the job and was its coordinator: shutdown")
          .blame(0));
}

TEST_F(FailureTest, BlamesWhoAnnouncesTwice) {
  make(3);
  forge(Announce{{tensor("a", allreduce({1}))}, {}});
  EXPECT_THAT(failures(0), IsEmpty());
  forge(Announce{{tensor("a", allreduce({1}))}, {}}, 3);
  expect_blame("it announced \"a\" twice while in flight");
}

TEST_F(FailureTest, BlamesWhoInventsAnId) {
  make(3);
  forge(Announce{{}, {1}});
  expect_blame("it announced id 1, which nothing ever had");
}

TEST_F(FailureTest, BlamesWhoSpeaksForAnotherGroup) {
  make(3);
  Signature s = allreduce({1});
  s.process_set = 1;
  forge(Announce{{tensor("a", s)}, {}});
  expect_blame("it announced \"a\" in process set 1, of which it is no member");
}

TEST_F(FailureTest, BlamesWhoAnnouncesAnIdOfAnotherGroup) {
  make(3);
  Signature s = allreduce({1});
  s.process_set = 1;
  announce(0, "a", s);
  announce(2, "a", s);
  cluster_->settle();
  forge(Announce{{}, {1}});
  expect_blame("it announced id 1, in which it has no part");
}

TEST_F(FailureTest, BlamesWhoOverfillsTheStore) {
  Limits limits;
  limits.store_bytes = 65536;
  make(3, 16384, limits);
  forge(StoreSet{1, "k", Bytes(65536)});
  expect_blame("it put more than 65536 bytes into the store (FARANDOLE_STORE_BYTES)");
}

TEST_F(FailureTest, BlamesMalformedMessages) {
  make(3);
  cluster_->act(cluster_->coordinator().on_frame(1, Bytes(5), kStart));
  cluster_->settle();
  expect_blame("it sent a malformed message: 5 bytes that are no message");
}

TEST_F(FailureTest, BlamesMessagesOfTheWrongSide) {
  make(3);
  forge(Failure{{.rank = 0, .cause = "me"}});
  expect_blame("it sent a message that only a coordinator sends");
}

TEST_F(FailureTest, DropsAndCountsStaleFrames) {
  make(2);
  const auto say = [&](Envelope envelope) {
    return cluster_->coordinator().on_frame(1, encode(envelope, Leave{}), kStart);
  };
  const Envelope good{.epoch = 1, .job = kJob, .incarnation = 1001, .seq = 2};
  Envelope bad = good;
  bad.epoch = 2;
  EXPECT_THAT(say(bad), IsEmpty());
  bad = good;
  bad.job = 1;
  EXPECT_THAT(say(bad), IsEmpty());
  bad = good;
  bad.incarnation = 1;
  EXPECT_THAT(say(bad), IsEmpty());
  bad = good;
  bad.seq = 1;
  EXPECT_THAT(say(bad), IsEmpty());
  EXPECT_EQ(cluster_->coordinator().dropped(), (Dropped{1, 1, 1, 1}));
  EXPECT_FALSE(cluster_->coordinator().left(1));
  say(good);
  EXPECT_TRUE(cluster_->coordinator().left(1));
}

}  // namespace
}  // namespace farandole::control

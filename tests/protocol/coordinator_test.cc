// The rules of agreement, each on a whole cluster.

#include "controller/protocol/coordinator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/protocol/cluster.h"

namespace farandole::control {
namespace {

using std::chrono_literals::operator""ms;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Signature gather(int64_t rows) {
  Signature s = allreduce({rows, 2});
  s.kind = CollectiveKind::Allgather;
  return s;
}

class CoordinatorTest : public testing::Test {
 protected:
  void make(size_t size, size_t cache = 16384, Limits limits = {}) {
    limits.size = size;
    limits.cache_capacity = cache;
    cluster_ = std::make_unique<Cluster>(Cluster::Options{limits, {{1, {0, 2}}}});
    cluster_->form();
  }

  void announce(int rank, const std::string& name, const Signature& signature) {
    cluster_->announce(rank, {tensor(name, signature)});
  }
  void announce_all(const std::string& name, const Signature& signature) {
    for (size_t rank = 0; rank < cluster_->size(); ++rank)
      announce(static_cast<int>(rank), name, signature);
  }
  // An announcement of one tensor by all, carried through; gives the bytes that it cost.
  size_t step(const std::string& name, const Signature& signature) {
    const size_t before = cluster_->bytes_up() + cluster_->bytes_down();
    announce_all(name, signature);
    cluster_->settle();
    return cluster_->bytes_up() + cluster_->bytes_down() - before;
  }

  const std::vector<Agreement>& told(int rank = 0) { return cluster_->seen(rank).agreements; }
  const std::vector<PeerFailure>& failures(int rank) { return cluster_->seen(rank).failures; }

  // What ranks say on the wire.
  template <typename T>
  static std::vector<T> messages(const std::deque<Bytes>& queue) {
    std::vector<T> out;
    for (const Bytes& bytes : queue)
      if (Frame frame = decode(bytes, small_limits(8)).value();
          std::holds_alternative<T>(frame.body))
        out.push_back(std::get<T>(frame.body));
    return out;
  }

  // A frame that rank 1 forges, past its worker. Requires: rank 1 has sent nothing but Join.
  void forge(const Message& message, uint64_t seq = 2) {
    const Envelope envelope{.epoch = 1, .job = kJob, .incarnation = 1001, .seq = seq};
    cluster_->act(cluster_->coordinator().on_frame(1, encode(envelope, message), kStart));
    cluster_->settle();
  }
  void expect_blame(const std::string& cause) {
    for (size_t rank = 0; rank < cluster_->size(); ++rank) {
      ASSERT_EQ(failures(static_cast<int>(rank)).size(), 1U);
      const PeerFailure& failure = failures(static_cast<int>(rank))[0];
      EXPECT_EQ(failure.rank, 1);
      EXPECT_EQ(failure.host, "host1");
      EXPECT_EQ(failure.code, Code::PeerLost);
      EXPECT_FALSE(failure.left);
      EXPECT_THAT(failure.cause, HasSubstr(cause));
    }
    ASSERT_EQ(cluster_->closed.size(), 1U);
    EXPECT_EQ(cluster_->closed[0].rank, 1);
  }

  std::unique_ptr<Cluster> cluster_;
};

TEST_F(CoordinatorTest, ATensorIsReadyWhenAllHaveAnnouncedIt) {
  make(3);
  announce(2, "a", allreduce({3}));
  announce(0, "a", allreduce({3}));
  announce(0, "b", allreduce({3}));
  cluster_->settle();
  EXPECT_THAT(told(), IsEmpty());
  announce(1, "a", allreduce({3}));
  cluster_->settle();
  ASSERT_EQ(told().size(), 1U);
  EXPECT_THAT(told()[0].ready, ElementsAre(ReadyOp{"a", 0, {}}));
  EXPECT_EQ(told()[0].round, 1U);
  EXPECT_EQ(told()[0].epoch, 1U);
  EXPECT_EQ(cluster_->coordinator().pending(), 1U);
}

TEST_F(CoordinatorTest, TheOrderIsThatInWhichTensorsBecameReady) {
  make(2);
  for (const char* name : {"a", "b", "c"}) announce(0, name, allreduce({1}));
  for (const char* name : {"c", "a", "b"}) announce(1, name, allreduce({1}));
  cluster_->settle();
  ASSERT_EQ(told().size(), 1U);
  EXPECT_THAT(
      told()[0].ready, ElementsAre(ReadyOp{"c", 0, {}}, ReadyOp{"a", 0, {}}, ReadyOp{"b", 0, {}}));
  EXPECT_EQ(told(1), told(0));
}

TEST_F(CoordinatorTest, ProcessSetsAreCountedApart) {
  make(3);
  Signature s = allreduce({1});
  announce(1, "a", s);
  s.process_set = 1;
  announce(0, "a", s);
  announce(2, "a", s);
  cluster_->settle();
  ASSERT_EQ(told(1).size(), 1U);  // non-members hear of it, too
  EXPECT_THAT(told(1)[0].ready, ElementsAre(ReadyOp{"a", 1, {}}));
  EXPECT_EQ(told(0), told(1));
  // And may use the cache.
  announce(0, "a", s);
  announce(2, "a", s);
  cluster_->settle();
  EXPECT_EQ(told(1).size(), 2U);
}

TEST_F(CoordinatorTest, AnUnknownProcessSetIsRejected) {
  make(2);
  Signature s = allreduce({1});
  s.process_set = 9;
  announce(1, "a", s);
  cluster_->settle();
  EXPECT_EQ(
      told()[0].rejected[0].why,
      Status(Code::InvalidArgument, "allreduce \"a\": there is no process set 9"));
}

TEST_F(CoordinatorTest, AMismatchRejectsOneTensorAndNothingElse) {
  make(2);
  announce(0, "a", allreduce({3}));
  announce(0, "b", allreduce({3}));
  announce(1, "a", allreduce({4}));
  announce(1, "b", allreduce({3}));
  cluster_->settle();
  ASSERT_EQ(told().size(), 1U);
  EXPECT_THAT(told()[0].ready, ElementsAre(ReadyOp{"b", 0, {}}));
  ASSERT_EQ(told()[0].rejected.size(), 1U);
  EXPECT_EQ(
      told()[0].rejected[0].why,
      Status(
          Code::Mismatch,
          "allreduce \"a\": ranks disagree on shape: rank 0 has [3], rank 1 has [4]"));
  EXPECT_EQ(told(1), told(0));
  step("a", allreduce({3}));
  EXPECT_THAT(told()[1].ready, ElementsAre(ReadyOp{"a", 0, {}}));
}

// The id of a rejected tensor is forgotten: the rank that was wrong would otherwise mean another
// signature by it than the coordinator.
TEST_F(CoordinatorTest, AMismatchAfterAgreementForgetsTheId) {
  make(2);
  step("a", allreduce({3}));
  announce(0, "a", allreduce({3}));
  announce(1, "a", allreduce({4}));
  cluster_->settle();
  EXPECT_EQ(told()[1].rejected.size(), 1U);
  EXPECT_EQ(cluster_->coordinator().cached(), 0U);
  announce(0, "a", allreduce({3}));
  announce(1, "a", allreduce({4}));
  cluster_->settle();
  EXPECT_EQ(told()[2].rejected, told()[1].rejected);
  step("a", allreduce({4}));
  EXPECT_EQ(told()[3].ready.size(), 1U);
}

TEST_F(CoordinatorTest, ARepeatedTensorTravelsAsAnId) {
  make(2);
  const std::string name(300, 'n');
  EXPECT_GT(step(name, allreduce({3})), 1200U);
  announce(1, name, allreduce({3}));
  EXPECT_THAT(messages<Announce>(cluster_->up(1)), ElementsAre(Announce{{}, {1}}));
  announce(0, name, allreduce({3}));
  cluster_->settle();
  EXPECT_EQ(told()[1].ready, told()[0].ready);
  EXPECT_LT(step(name, allreduce({3})), 500U);  // four messages
}

TEST_F(CoordinatorTest, AChangedSignatureGetsAnotherId) {
  make(2);
  step("a", allreduce({3}));
  announce_all("a", allreduce({5}));
  EXPECT_EQ(messages<Announce>(cluster_->up(0))[0].full.size(), 1U);
  cluster_->settle();
  EXPECT_EQ(cluster_->coordinator().cached(), 1U);
  announce(0, "a", allreduce({5}));
  EXPECT_THAT(messages<Announce>(cluster_->up(0)), ElementsAre(Announce{{}, {2}}));
  announce(1, "a", allreduce({3}));  // differs from what id 2 stands for
  cluster_->settle();
  EXPECT_THAT(told()[2].rejected[0].why.message(), HasSubstr("rank 0 has [5], rank 1 has [3]"));
}

TEST_F(CoordinatorTest, ChangedRowsKeepTheIdAndTravelAlone) {
  make(2);
  announce(0, "a", gather(1));
  announce(1, "a", gather(2));
  cluster_->settle();
  EXPECT_THAT(told()[0].ready, ElementsAre(ReadyOp{"a", 0, {1, 2}}));
  announce(0, "a", gather(1));
  announce(1, "a", gather(7));
  EXPECT_THAT(messages<Announce>(cluster_->up(0)), ElementsAre(Announce{{}, {1}}));
  cluster_->step_up(0);
  cluster_->step_up(1);
  cluster_->flush();
  const std::vector<Round> rounds = messages<Round>(cluster_->down(0));
  ASSERT_EQ(rounds.size(), 1U);
  EXPECT_THAT(rounds[0].details, ElementsAre(Detail{.id = 1, .extents = {1, 7}}));
  cluster_->settle();
  EXPECT_THAT(told()[1].ready, ElementsAre(ReadyOp{"a", 0, {1, 7}}));
  announce(0, "a", gather(1));
  announce(1, "a", gather(7));
  cluster_->settle();
  EXPECT_EQ(told()[2].ready, told()[1].ready);
}

TEST_F(CoordinatorTest, RaggedAlltoallIsRememberedPerRank) {
  make(2);
  Signature even = allreduce({4});
  even.kind = CollectiveKind::Alltoall;
  Signature odd = even;
  odd.splits = {3, 1};
  announce(0, "a", even);
  announce(1, "a", odd);
  cluster_->settle();
  EXPECT_THAT(told()[0].ready, ElementsAre(ReadyOp{"a", 0, {2, 2, 3, 1}}));
  odd.splits = {0, 4};
  announce(0, "a", even);
  announce(1, "a", odd);
  cluster_->settle();
  EXPECT_THAT(told()[1].ready, ElementsAre(ReadyOp{"a", 0, {2, 2, 0, 4}}));
}

TEST_F(CoordinatorTest, WithoutACacheNothingIsRemembered) {
  make(2, 0);
  const size_t first = step("a", allreduce({3}));
  EXPECT_EQ(step("a", allreduce({3})), first);
  EXPECT_EQ(cluster_->coordinator().cached(), 0U);
  EXPECT_EQ(cluster_->worker(1).cached(), 0U);
  EXPECT_EQ(told().size(), 2U);
}

TEST_F(CoordinatorTest, TheLeastRecentlyAgreedMakesRoom) {
  make(2, 2);
  step("a", allreduce({1}));
  step("b", allreduce({1}));
  step("a", allreduce({1}));
  step("c", allreduce({1}));  // instead of b
  announce(0, "a", allreduce({1}));
  announce(0, "b", allreduce({1}));
  announce(0, "c", allreduce({1}));
  const std::vector<Announce> said = messages<Announce>(cluster_->up(0));
  ASSERT_EQ(said.size(), 3U);
  EXPECT_THAT(said[0].cached, ElementsAre(1));
  EXPECT_EQ(said[1].full.size(), 1U);
  EXPECT_THAT(said[2].cached, ElementsAre(3));
}

TEST_F(CoordinatorTest, AnAnnouncedTensorIsNotEvicted) {
  make(2, 1);
  step("a", allreduce({1}));
  announce(0, "a", allreduce({1}));
  cluster_->settle();
  step("b", allreduce({1}));
  EXPECT_EQ(cluster_->coordinator().cached(), 1U);
  announce(1, "a", allreduce({1}));
  EXPECT_THAT(messages<Announce>(cluster_->up(1)), ElementsAre(Announce{{}, {1}}));
  cluster_->settle();
  EXPECT_THAT(told().back().ready, ElementsAre(ReadyOp{"a", 0, {}}));
}

// Both orders in which the eviction and the request to send again can reach the rank.
TEST_F(CoordinatorTest, AnEvictedIdIsAskedForAgain) {
  for (const bool request_first : {true, false}) {
    make(2, 1);
    step("a", allreduce({1}));
    announce_all("b", allreduce({1}));
    cluster_->step_up(0);
    cluster_->step_up(1);  // b takes the place of a
    announce(1, "a", allreduce({1}));
    if (!request_first)
      cluster_->flush();
    cluster_->step_up(1);
    EXPECT_THAT(messages<Resend>(cluster_->down(1)), ElementsAre(Resend{{1}}));
    announce(0, "a", allreduce({1}));
    cluster_->settle();
    EXPECT_THAT(told().back().ready, ElementsAre(ReadyOp{"a", 0, {}}));
    EXPECT_EQ(told(1), told(0));
  }
}

TEST_F(CoordinatorTest, SmallRoundsWaitWhileRankZeroIsBusy) {
  Limits limits;
  limits.fusion_bytes = 100;
  make(2, 16384, limits);
  cluster_->coordinator().on_backlog(2);
  step("a", allreduce({10}));
  step("b", allreduce({10}));
  EXPECT_THAT(told(), IsEmpty());
  step("c", allreduce({10}));  // 120 bytes are enough
  ASSERT_EQ(told().size(), 1U);
  EXPECT_EQ(told()[0].ready.size(), 3U);
  step("a", allreduce({10}));
  EXPECT_EQ(told().size(), 1U);
  cluster_->coordinator().on_backlog(1);
  cluster_->settle();
  EXPECT_EQ(told().size(), 2U);
}

TEST_F(CoordinatorTest, RejectionsDoNotWait) {
  make(2);
  cluster_->coordinator().on_backlog(5);
  announce(0, "a", allreduce({3}));
  announce(1, "a", allreduce({4}));
  cluster_->settle();
  EXPECT_EQ(told().size(), 1U);
}

TEST_F(CoordinatorTest, ALargeRoundIsSplitIntoFrames) {
  Limits limits;
  limits.max_frame_bytes = 65536;
  make(2, 16384, limits);
  std::vector<Announcement> items;
  for (int i = 0; i < 1000; ++i)
    items.push_back(tensor(std::string(400, 'x') + std::to_string(i), allreduce({1})));
  cluster_->announce(0, items);
  cluster_->announce(1, items);
  EXPECT_GT(cluster_->up(0).size(), 5U);
  for (const int rank : {0, 1})
    for (const Bytes& bytes : cluster_->up(rank)) EXPECT_LE(bytes.size(), limits.max_frame_bytes);
  while (cluster_->up_waiting(0)) cluster_->step_up(0);
  while (cluster_->up_waiting(1)) cluster_->step_up(1);
  cluster_->flush();
  EXPECT_GT(cluster_->down(0).size(), 5U);
  for (const Bytes& bytes : cluster_->down(0)) EXPECT_LE(bytes.size(), limits.max_frame_bytes);
  cluster_->settle();
  size_t ready = 0;
  for (const Agreement& agreement : told(1)) ready += agreement.ready.size();
  EXPECT_EQ(ready, 1000U);
  EXPECT_EQ(told(1), told(0));
}

TEST_F(CoordinatorTest, ALostRankIsToldToAllOthersOnce) {
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

TEST_F(CoordinatorTest, AnAccusationBecomesTheVerdictAfterAWhile) {
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

TEST_F(CoordinatorTest, ABrokenConnectionIsBetterEvidence) {
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

TEST_F(CoordinatorTest, AGoodbyeComesAfterWhatWasReadyAndRejectsTheRest) {
  make(3);
  announce_all("ready", allreduce({1}));
  announce(1, "pending", allreduce({1}));
  for (int rank = 0; rank < 3; ++rank)
    while (cluster_->up_waiting(rank)) cluster_->step_up(rank);
  cluster_->act(2, cluster_->worker(2).leave());
  cluster_->settle();
  const PeerFailure left{.rank = 2, .host = "host2", .cause = "left the job", .left = true};
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
          Status(Code::PeerLost, "allreduce \"pending\": rank 2 (host host2) left the job")
              .blame(2)}));
  // Its connection may close now.
  EXPECT_THAT(cluster_->coordinator().on_lost(2, "closed"), IsEmpty());
  EXPECT_TRUE(cluster_->coordinator().left(2));
}

TEST_F(CoordinatorTest, AfterAGoodbyeWhatNeedsTheRankIsRejectedAtOnce) {
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

TEST_F(CoordinatorTest, ALeavingRankMayUseTheStoreMeanwhile) {
  make(2);
  cluster_->act(1, cluster_->worker(1).store_get(7, "key"));
  cluster_->act(1, cluster_->worker(1).leave());
  cluster_->settle();
  cluster_->act(0, cluster_->worker(0).store_set(1, "key", {5}));
  cluster_->settle();
  EXPECT_THAT(cluster_->seen(1).replies, ElementsAre(StoreReply{7, Status::ok(), {5}}));
}

TEST_F(CoordinatorTest, WhenRankZeroLeavesAllIsRejected) {
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
  announce(2, "late", other);
  EXPECT_EQ(
      told(2).back().rejected[0].why,
      Status(
          Code::PeerLost,
          "allreduce \"late\": rank 0 (host host0) left the job and was its coordinator")
          .blame(0));
}

TEST_F(CoordinatorTest, BlamesWhoAnnouncesTwice) {
  make(3);
  forge(Announce{{tensor("a", allreduce({1}))}, {}});
  EXPECT_THAT(failures(0), IsEmpty());
  forge(Announce{{tensor("a", allreduce({1}))}, {}}, 3);
  expect_blame("it announced \"a\" twice while in flight");
}

TEST_F(CoordinatorTest, BlamesWhoInventsAnId) {
  make(3);
  forge(Announce{{}, {1}});
  expect_blame("it announced id 1, which nothing ever had");
}

TEST_F(CoordinatorTest, BlamesWhoSpeaksForAnotherGroup) {
  make(3);
  Signature s = allreduce({1});
  s.process_set = 1;
  forge(Announce{{tensor("a", s)}, {}});
  expect_blame("it announced \"a\" in process set 1, of which it is no member");
}

TEST_F(CoordinatorTest, BlamesWhoAnnouncesAnIdOfAnotherGroup) {
  make(3);
  Signature s = allreduce({1});
  s.process_set = 1;
  announce(0, "a", s);
  announce(2, "a", s);
  cluster_->settle();
  forge(Announce{{}, {1}});
  expect_blame("it announced id 1 of a process set that it is not in");
}

TEST_F(CoordinatorTest, BlamesWhoAnnouncesTooMuch) {
  Limits limits;
  limits.max_pending = 2;
  make(3, 16384, limits);
  const auto item = [](const char* name) { return tensor(name, allreduce({1})); };
  forge(Announce{{item("a"), item("b")}, {}});
  EXPECT_THAT(failures(0), IsEmpty());
  forge(Announce{{item("c")}, {}}, 3);
  expect_blame("it announced more than 2 tensors at once");
}

TEST_F(CoordinatorTest, SettledTensorsCountNoMore) {
  Limits limits;
  limits.max_pending = 1;
  make(2, 1, limits);
  for (int i = 0; i < 5; ++i)
    for (const char* name : {"a", "b"}) step(name, allreduce({1 + i / 2}));
  EXPECT_EQ(told().size(), 10U);
  EXPECT_FALSE(cluster_->coordinator().failed());
}

TEST_F(CoordinatorTest, BlamesWhoOverfillsTheStore) {
  Limits limits;
  limits.store_bytes = 65536;
  make(3, 16384, limits);
  forge(StoreSet{1, "k", Bytes(65536)});
  expect_blame("it put more than 65536 bytes into the store");
}

TEST_F(CoordinatorTest, BlamesMalformedMessages) {
  make(3);
  cluster_->act(cluster_->coordinator().on_frame(1, Bytes(5), kStart));
  cluster_->settle();
  expect_blame("it sent a malformed message: 5 bytes that are no message");
}

TEST_F(CoordinatorTest, BlamesMessagesOfTheWrongSide) {
  make(3);
  forge(Failure{{.rank = 0, .cause = "me"}});
  expect_blame("it sent a message that only a coordinator sends");
}

TEST_F(CoordinatorTest, DropsAndCountsStaleFrames) {
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

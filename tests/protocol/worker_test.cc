// What a worker does besides passing on: states, store, and a coordinator that misbehaves.

#include "controller/protocol/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/protocol/cluster.h"

namespace farandole::control {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class WorkerTest : public testing::Test {
 protected:
  WorkerTest() { cluster_.form(); }

  Worker& worker() { return cluster_.worker(1); }
  Cluster::Seen& seen() { return cluster_.seen(1); }
  void act(Actions actions) { cluster_.act(1, std::move(actions)); }
  // A message that the coordinator did not mean to send.
  void forge(const Message& message, uint64_t seq = 2) {
    const Envelope envelope{.epoch = 1, .job = kJob, .incarnation = 1000, .seq = seq};
    act(worker().on_frame(encode(envelope, message)));
  }
  void expect_blame(const std::string& cause) {
    ASSERT_EQ(seen().failures.size(), 1U);
    EXPECT_EQ(seen().failures[0].rank, 0);
    EXPECT_EQ(seen().failures[0].host, "host0");
    EXPECT_THAT(seen().failures[0].cause, HasSubstr(cause));
    ASSERT_EQ(cluster_.closed.size(), 1U);
    EXPECT_EQ(cluster_.closed[0].rank, 0);
  }

  Cluster cluster_{2};
};

TEST_F(WorkerTest, BlamesACoordinatorThatBreaksTheProtocol) {
  struct Bad {
    const char* cause;
    Message message;
  };
  const Detail named{.id = 1, .named = true, .name = "a"};
  const Bad table[] = {
      {"round 2 after round 0", Round{.number = 2}},
      {"id 5, which nothing has", Round{.number = 1, .ready = {5}}},
      {"id 5, which nothing has", Round{.number = 1, .ready = {5}, .details = {{.id = 5}}}},
      {"details of tensors that are not ready", Round{.number = 1, .details = {named}}},
      {"id 1 for two tensors",
       Round{
           .number = 1,
           .ready = {1, 1},
           .details = {named, {.id = 1, .named = true, .name = "b"}}}},
      {"a message that only other ranks send", Leave{}},
      {"a message at the wrong time", Refuse{Status(Code::Timeout, "x")}}};
  for (const Bad& bad : table) {
    Cluster fresh(2);
    fresh.form();
    const Envelope envelope{.epoch = 1, .job = kJob, .incarnation = 1000, .seq = 2};
    fresh.act(1, fresh.worker(1).on_frame(encode(envelope, bad.message)));
    ASSERT_EQ(fresh.seen(1).failures.size(), 1U) << bad.cause;
    EXPECT_EQ(fresh.seen(1).failures[0].rank, 0);
    EXPECT_EQ(
        fresh.seen(1).failures[0].cause, std::string("broke the protocol: it sent ") + bad.cause);
    ASSERT_EQ(fresh.closed.size(), 1U);
  }
}

TEST_F(WorkerTest, BlamesMalformedBytes) {
  act(worker().on_frame(Bytes(3)));
  expect_blame("3 bytes that are no message");
}

TEST_F(WorkerTest, MoreIdsThanTheCacheHasAreRefused) {
  Limits limits = small_limits(2);
  limits.cache_capacity = 1;
  Cluster small({limits, {}});
  small.form();
  const Round round{
      .number = 1,
      .ready = {1, 2},
      .details = {{.id = 1, .named = true, .name = "a"}, {.id = 2, .named = true, .name = "b"}}};
  const Envelope envelope{.epoch = 1, .job = kJob, .incarnation = 1000, .seq = 2};
  small.act(1, small.worker(1).on_frame(encode(envelope, round)));
  ASSERT_EQ(small.seen(1).failures.size(), 1U);
  EXPECT_THAT(small.seen(1).failures[0].cause, HasSubstr("more ids than the cache has"));
}

TEST_F(WorkerTest, StaleFramesHaveNoEffect) {
  const auto say = [&](Envelope envelope) {
    return worker().on_frame(encode(envelope, Failure{{.rank = 0, .cause = "x"}}));
  };
  EXPECT_THAT(say({.epoch = 2, .job = kJob, .incarnation = 1000, .seq = 2}), IsEmpty());
  EXPECT_THAT(say({.epoch = 1, .job = kJob, .incarnation = 1, .seq = 2}), IsEmpty());
  EXPECT_THAT(say({.epoch = 1, .job = kJob, .incarnation = 1000, .seq = 1}), IsEmpty());
  EXPECT_EQ(worker().dropped(), (Dropped{.epoch = 1, .incarnation = 1, .seq = 1}));
}

TEST_F(WorkerTest, ALostCoordinatorEndsTheJobOnce) {
  act(worker().store_get(1, "key"));
  act(worker().on_lost("closed"));
  act(worker().on_lost("closed again"));
  EXPECT_THAT(
      seen().failures, ElementsAre(PeerFailure{.rank = 0, .host = "host0", .cause = "closed"}));
  const Status why = Status(Code::PeerLost, "rank 0 (host host0): closed").blame(0);
  EXPECT_THAT(seen().replies, ElementsAre(StoreReply{1, why, {}}));
  EXPECT_THAT(worker().announce({tensor("a", allreduce({1}))}), IsEmpty());
  EXPECT_THAT(worker().leave(), IsEmpty());
  EXPECT_THAT(worker().report({.rank = 0}), IsEmpty());
  EXPECT_THAT(worker().store_set(2, "key", {}), ElementsAre(Action(StoreReply{2, why, {}})));
}

TEST_F(WorkerTest, ALossWhileJoiningFailsTheStart) {
  Worker joining({small_limits(2), 1, kJob, 9});
  EXPECT_EQ(joining.join({1, "h", 1, ""}, {}).size(), 1U);
  EXPECT_THAT(joining.announce({tensor("a", allreduce({1}))}), IsEmpty());
  const Actions actions = joining.on_lost("refused");
  ASSERT_EQ(actions.size(), 1U);
  EXPECT_EQ(
      std::get<NotFormed>(actions[0]).why,
      Status(Code::PeerLost, "rank 0 was lost while the group formed: refused").blame(0));
}

TEST_F(WorkerTest, AGoodbyeIsAcknowledgedOnce) {
  act(worker().leave());
  act(worker().leave());
  EXPECT_EQ(cluster_.up(1).size(), 1U);
  cluster_.settle();
  ASSERT_EQ(seen().failures.size(), 1U);
  EXPECT_EQ(seen().failures[0].rank, 1);
  act(worker().finished());
  act(worker().on_lost("closed"));
  EXPECT_EQ(seen().failures.size(), 1U);
}

TEST_F(WorkerTest, HavingFinishedIsTheLastWord) {
  act(worker().store_get(1, "key"));
  act(worker().leave());
  cluster_.settle();
  act(worker().finished());
  const Status over(Code::Aborted, "ended by this rank's shutdown");
  EXPECT_THAT(seen().replies, ElementsAre(StoreReply{1, over, {}}));
  cluster_.settle();
  EXPECT_TRUE(cluster_.coordinator().finished(1));
  act(worker().finished());
  act(worker().leave());
  act(worker().store_set(2, "key", {}));
  act(worker().store_cancel(1));
  act(worker().announce({tensor("late", allreduce({1}))}));
  EXPECT_FALSE(cluster_.up_waiting(1));
  EXPECT_EQ(seen().replies.back(), (StoreReply{2, over, {}}));
  EXPECT_EQ(seen().agreements.back().rejected[0].name, "late");
}

// Whoever has left, this rank or rank 0: what was agreed upon cannot be carried out any more.
TEST_F(WorkerTest, ACoordinatorThatGoesBeforeThisRankHasFinishedIsLost) {
  for (const int leaver : {0, 1}) {
    Cluster fresh(2);
    fresh.form();
    fresh.act(leaver, fresh.worker(leaver).leave());
    fresh.settle();
    fresh.act(1, fresh.worker(1).on_lost("closed"));
    ASSERT_EQ(fresh.seen(1).failures.size(), 2U);
    EXPECT_EQ(
        fresh.seen(1).failures[1], (PeerFailure{.rank = 0, .host = "host0", .cause = "closed"}));
  }
}

TEST_F(WorkerTest, AGoodbyeIsToldToACoordinatorThatHasLeft) {
  cluster_.act(0, cluster_.worker(0).leave());
  cluster_.settle();
  act(worker().leave());
  cluster_.settle();
  const PeerFailure own{.rank = 1, .host = "host1", .cause = "shutdown", .left = true};
  ASSERT_EQ(seen().failures.size(), 2U);
  EXPECT_EQ(seen().failures[1], own);
  EXPECT_TRUE(cluster_.coordinator().left(1));
  act(worker().finished());
  act(worker().on_lost("closed"));
  EXPECT_EQ(seen().failures.size(), 2U);
}

TEST_F(WorkerTest, AGoodbyeToAGoneCoordinatorIsAcknowledgedHere) {
  cluster_.act(0, cluster_.worker(0).leave());
  cluster_.settle();
  act(worker().finished());
  act(worker().on_lost("closed"));
  act(worker().leave());
  const PeerFailure own{.rank = 1, .host = "host1", .cause = "shutdown", .left = true};
  ASSERT_EQ(seen().failures.size(), 2U);
  EXPECT_EQ(seen().failures[1], own);
  act(worker().on_lost("closed"));
  EXPECT_EQ(seen().failures.size(), 2U);
}

// The coordinator leaves and closes while this rank's goodbye is on its way.
TEST_F(WorkerTest, CrossingGoodbyesAreAcknowledged) {
  act(worker().leave());
  cluster_.up(1).clear();
  cluster_.act(0, cluster_.worker(0).leave());
  cluster_.settle();
  EXPECT_EQ(seen().failures.size(), 1U);
  act(worker().finished());
  act(worker().on_lost("closed"));
  ASSERT_EQ(seen().failures.size(), 2U);
  EXPECT_EQ(seen().failures[1].rank, 1);
  EXPECT_TRUE(seen().failures[1].left);
}

// There is nothing left to accuse anybody of; but whoever does gets a verdict.
TEST_F(WorkerTest, AnAccusationAfterTheLastWordIsTheVerdict) {
  cluster_.act(0, cluster_.worker(0).leave());
  cluster_.settle();
  act(worker().finished());
  act(worker().report({.rank = 0, .cause = "no byte", .code = Code::Timeout}));
  ASSERT_EQ(seen().failures.size(), 2U);
  EXPECT_EQ(seen().failures[1].cause, "no byte");
  EXPECT_FALSE(seen().failures[1].left);
}

TEST_F(WorkerTest, ACoordinatorThatIsGivenUpHearsOfItUntilTheLastWord) {
  act(worker().leave());
  cluster_.settle();
  act(worker().on_silent("silent"));
  EXPECT_EQ(cluster_.up(1).size(), 1U);
  EXPECT_EQ(seen().failures.back().cause, "silent");
  Cluster fresh(2);
  fresh.form();
  fresh.act(1, fresh.worker(1).leave());
  fresh.settle();
  fresh.act(1, fresh.worker(1).finished());
  fresh.settle();
  EXPECT_THAT(fresh.worker(1).on_silent("silent"), IsEmpty());
}

TEST_F(WorkerTest, StoreRequestsOutOfBoundsAreRefusedHere) {
  const auto refusal = [](const Actions& actions) {
    return actions.size() == 1 && std::holds_alternative<StoreReply>(actions[0])
               ? std::get<StoreReply>(actions[0]).status.message()
               : std::string("sent");
  };
  EXPECT_EQ(refusal(worker().store_get(1, "")), "a store key has 0 bytes; 1 to 4096 are wanted");
  EXPECT_EQ(
      refusal(worker().store_set(2, std::string(4097, 'k'), {})),
      "a store key has 4097 bytes; 1 to 4096 are wanted");
  Limits limits = small_limits(2);
  limits.store_bytes = 100;
  Cluster small({limits, {}});
  small.form();
  EXPECT_EQ(refusal(small.worker(1).store_set(1, "a", Bytes(98))), "sent");
  EXPECT_THAT(
      refusal(small.worker(1).store_set(2, "b", Bytes(1))),
      HasSubstr("\"b\": 1 bytes more than the 100 that a rank may publish"));
}

// A refused set gives its bytes back.
TEST_F(WorkerTest, ARefusedSetCostsNothing) {
  Limits limits = small_limits(2);
  limits.store_bytes = 100;
  Cluster small({limits, {}});
  small.form();
  small.act(0, small.worker(0).store_set(1, "a", {}));
  small.settle();
  for (uint64_t i = 1; i <= 5; ++i) {
    small.act(1, small.worker(1).store_set(i, "a", Bytes(60)));
    small.settle();
    EXPECT_THAT(small.seen(1).replies.back().status.message(), HasSubstr("set already"));
  }
  small.act(1, small.worker(1).store_set(6, "b", Bytes(99)));
  small.settle();
  EXPECT_TRUE(small.seen(1).replies.back().status.is_ok());
  EXPECT_FALSE(small.coordinator().failed());
}

TEST_F(WorkerTest, AKeyIsWaitedForOnceAtATime) {
  act(worker().store_get(1, "key"));
  act(worker().store_get(2, "key"));
  ASSERT_EQ(seen().replies.size(), 1U);
  EXPECT_EQ(seen().replies[0].request, 2U);
  EXPECT_EQ(
      seen().replies[0].status,
      Status(Code::InvalidArgument, "store key \"key\": this rank waits for it already"));
  act(worker().store_cancel(1));
  act(worker().store_get(3, "key"));
  cluster_.settle();
  EXPECT_EQ(seen().replies.size(), 1U);
  EXPECT_FALSE(cluster_.coordinator().failed());
}

TEST_F(WorkerTest, ACancelledRequestIsNotAnswered) {
  act(worker().store_get(1, "key"));
  cluster_.settle();
  act(worker().store_cancel(1));
  EXPECT_EQ(cluster_.up(1).size(), 1U);
  cluster_.settle();
  cluster_.act(0, cluster_.worker(0).store_set(1, "key", {1}));
  cluster_.settle();
  EXPECT_THAT(seen().replies, IsEmpty());
  EXPECT_THAT(worker().store_cancel(1), IsEmpty());
}

// After the first step a tensor costs a few bytes, whatever its name.
TEST(Cost, ASteadyStepOfAThousandTensors) {
  Cluster cluster(2);
  cluster.form();
  std::vector<Announcement> items;
  for (int i = 0; i < 1000; ++i)
    items.push_back(tensor("model/layer" + std::to_string(i) + "/weight", allreduce({128, i})));
  const auto step = [&] {
    for (const int rank : {0, 1}) cluster.announce(rank, items);
    cluster.settle();
  };
  step();
  const size_t up = cluster.bytes_up(), down = cluster.bytes_down();
  step();
  const double each_up = static_cast<double>(cluster.bytes_up() - up) / 2000;
  const double each_down = static_cast<double>(cluster.bytes_down() - down) / 2000;
  EXPECT_LE(each_up, 8);
  EXPECT_LE(each_down, 8);
  RecordProperty("bytes_up_per_tensor", std::to_string(each_up));
  RecordProperty("bytes_down_per_tensor", std::to_string(each_down));
  EXPECT_EQ(cluster.seen(1).agreements.size(), 2U);
}

}  // namespace
}  // namespace farandole::control

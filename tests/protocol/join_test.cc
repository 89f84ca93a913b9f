// Joins: what ranks agree upon while some of them have nothing more to submit.

#include "tests/protocol/cluster_test.h"

namespace farandole::control {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class JoinTest : public ClusterTest {
 protected:
  void join(int rank, uint32_t process_set = 0) {
    cluster_->announce(rank, {{{}, {.kind = CollectiveKind::Join, .process_set = process_set}}});
  }
  static ReadyOp joined(int last, uint32_t process_set = 0) {
    return {"", process_set, {last}, {}};
  }
  // The only thing that the last round tells.
  const ReadyOp& last_ready(int rank = 0) { return told(rank).back().ready.back(); }
  std::string last_rejection() { return told().back().rejected.back().why.message(); }
};

TEST_F(JoinTest, EndsWhenAllHaveJoinedAndNamesTheLast) {
  make(3);
  for (const int rank : {2, 0}) join(rank);
  cluster_->settle();
  EXPECT_THAT(told(), IsEmpty());
  join(1);
  cluster_->settle();
  ASSERT_EQ(told().size(), 1U);
  EXPECT_THAT(told()[0].ready, ElementsAre(joined(1)));
  EXPECT_EQ(told(2), told(0));
  EXPECT_EQ(cluster_->coordinator().pending(), 0U);
}

TEST_F(JoinTest, OthersGoOnAndTheJoinedLearnWhatToPutIn) {
  make(3);
  join(2);
  const Signature s = allreduce({4, 2});
  for (const int rank : {0, 1}) announce(rank, "a", s);
  cluster_->settle();
  EXPECT_THAT(told()[0].ready, ElementsAre(ReadyOp{"a", 0, {}, StandIn{s, 2}}));
  EXPECT_EQ(told(2), told(0));
}

TEST_F(JoinTest, WhatWaitsForTheJoinedIsReadyWithIt) {
  make(3);
  for (const char* name : {"b", "a"})
    for (const int rank : {0, 1}) announce(rank, name, allreduce({4}));
  announce(0, "c", allreduce({4}));
  cluster_->settle();
  join(2);
  cluster_->settle();
  ASSERT_EQ(told().size(), 1U);
  ASSERT_EQ(told()[0].ready.size(), 2U);
  EXPECT_EQ(told()[0].ready[0].name, "a");
  EXPECT_EQ(told()[0].ready[1].name, "b");
  EXPECT_EQ(cluster_->coordinator().pending(), 2U);  // "c" and the join
}

TEST_F(JoinTest, WhatARankSubmittedBeforeItsJoinIsItsOwnPart) {
  make(3);
  announce(2, "a", allreduce({4}));
  join(2);
  for (const int rank : {0, 1}) announce(rank, "a", allreduce({4}));
  cluster_->settle();
  EXPECT_THAT(told()[0].ready, ElementsAre(ReadyOp{"a", 0, {}, {}}));
}

// Rank 0 has submitted what nobody else will.
TEST_F(JoinTest, WhenAllHaveJoinedEverythingIsReadyBeforeTheJoin) {
  make(3);
  announce(0, "a", allreduce({4}));
  for (const int rank : {0, 1, 2}) join(rank);
  cluster_->settle();
  ASSERT_EQ(told().size(), 1U);
  ASSERT_EQ(told()[0].ready.size(), 2U);
  EXPECT_EQ(told()[0].ready[0], (ReadyOp{"a", 0, {}, StandIn{allreduce({4}), 1}}));
  EXPECT_EQ(told()[0].ready[1], joined(2));
}

TEST_F(JoinTest, ProcessSetsJoinApart) {
  make(3);  // set 1 has ranks 0 and 2
  Signature s = allreduce({1});
  join(2, 1);
  announce(0, "a", s);
  announce(1, "a", s);
  cluster_->settle();
  EXPECT_THAT(told(), IsEmpty());
  s.process_set = 1;
  announce(0, "b", s);
  cluster_->settle();
  EXPECT_THAT(told().back().ready, ElementsAre(ReadyOp{"b", 1, {}, StandIn{s, 1}}));
  join(0, 1);
  cluster_->settle();
  EXPECT_EQ(last_ready(1), joined(0, 1));
}

TEST_F(JoinTest, AfterwardsTensorsNeedAllAgain) {
  make(2);
  for (const int rank : {1, 0}) join(rank);
  cluster_->settle();
  announce(0, "a", allreduce({1}));
  cluster_->settle();
  EXPECT_EQ(told().size(), 1U);
  announce(1, "a", allreduce({1}));
  for (const int rank : {0, 1}) join(rank);
  cluster_->settle();
  EXPECT_THAT(told().back().ready, ElementsAre(ReadyOp{"a", 0, {}, {}}, joined(1)));
}

TEST_F(JoinTest, CachedTensorsLoseTheirIdsAndAreRight) {
  make(3);
  Signature rows = allreduce({4});
  rows.kind = CollectiveKind::Allgather;
  for (int i = 0; i < 2; ++i) {
    step("a", allreduce({4}));
    step("g", rows);
  }
  EXPECT_EQ(cluster_->coordinator().cached(), 2U);
  join(1);
  for (const int rank : {0, 2}) {
    announce(rank, "a", allreduce({4}));
    announce(rank, "g", rows);
  }
  cluster_->settle();
  ASSERT_EQ(told().back().ready.size(), 2U);
  EXPECT_EQ(told().back().ready[1], (ReadyOp{"g", 0, {4, 0, 4}, StandIn{rows, 2}}));
  EXPECT_EQ(cluster_->coordinator().cached(), 0U);
  for (const int rank : {0, 1, 2}) EXPECT_EQ(cluster_->worker(rank).cached(), 0U);
  for (const int rank : {0, 2}) join(rank);
  cluster_->settle();
  step("g", rows);
  EXPECT_EQ(last_ready(), (ReadyOp{"g", 0, {4, 4, 4}, {}}));
  EXPECT_EQ(cluster_->coordinator().cached(), 1U);
}

// The coordinator has evicted the id by which rank 1 announces "a"; its join comes right behind.
TEST_F(JoinTest, DoesNotOvertakeWhatMustBeAnnouncedAgain) {
  make(2, 1);
  step("a", allreduce({4}));
  for (const int rank : {0, 1}) announce(rank, "b", allreduce({4}));
  while (cluster_->up_waiting(0)) cluster_->step_up(0);
  while (cluster_->up_waiting(1)) cluster_->step_up(1);
  announce(1, "a", allreduce({4}));  // by its id, which goes with this round
  join(1);
  cluster_->flush();
  announce(0, "a", allreduce({4}));
  cluster_->settle();
  EXPECT_EQ(last_ready(), (ReadyOp{"a", 0, {}, {}})) << "rank 1's part is left out";
  EXPECT_EQ(last_ready(1), (ReadyOp{"a", 0, {}, {}}));
  join(0);
  cluster_->settle();
  EXPECT_EQ(last_ready(), joined(0));
}

TEST_F(JoinTest, AGoodbyeEndsIt) {
  make(3);
  join(1);
  cluster_->act(2, cluster_->worker(2).leave());
  cluster_->settle();
  ASSERT_FALSE(told(1).empty());
  EXPECT_EQ(
      told(1).back().rejected[0].why.message(), "join: rank 2 (host host2) left the job: shutdown");
}

TEST_F(JoinTest, WithoutMeaningOneTextForAll) {
  make(3);
  join(1);
  Signature s = allreduce({6});
  s.kind = CollectiveKind::Broadcast;
  s.root = 1;
  const auto rejected = [&](const Signature& what) {
    for (const int rank : {0, 2}) announce(rank, "x", what);
    cluster_->settle();
    EXPECT_EQ(told().back().rejected.back().why.code(), Code::Mismatch);
    return last_rejection();
  };
  EXPECT_EQ(rejected(s), "broadcast \"x\": its root, rank 1, has joined and sends nothing");
  s.kind = CollectiveKind::Gather;
  EXPECT_EQ(rejected(s), "gather \"x\": its root, rank 1, has joined and receives nothing");
  s.root = 0;
  s.kind = CollectiveKind::Scatter;
  EXPECT_EQ(
      rejected(s),
      "scatter \"x\": rank 1 has joined and receives nothing, but rank 0 has rows for it");
  s.kind = CollectiveKind::Alltoall;
  EXPECT_EQ(
      rejected(s),
      "alltoall \"x\": rank 1 has joined and receives nothing, but rank 0 has rows for it");
  s.kind = CollectiveKind::AddProcessSet;
  s.operand = {0, 1};
  EXPECT_EQ(rejected(s), "add_process_set: rank 1 has joined, and all ranks are needed");
  s = allreduce({6});
  s.reduce = ReduceOp::Product;
  s.prescale = 0.5;
  EXPECT_THAT(rejected(s), HasSubstr("rank 1 has joined, and nothing that is scaled by 0.5"));
  for (const int rank : {0, 2}) announce(rank, "x", allreduce({6}));
  cluster_->settle();
  EXPECT_EQ(last_ready().name, "x") << "the next one works";
}

TEST_F(JoinTest, AnAlltoallWithoutRowsForTheJoinedIsOne) {
  make(3);
  join(1);
  Signature s = allreduce({3});
  s.kind = CollectiveKind::Alltoall;
  s.splits = {1, 0, 2};
  for (const int rank : {0, 2}) announce(rank, "x", s);
  cluster_->settle();
  EXPECT_THAT(last_ready().extents, ElementsAre(1, 0, 2, 0, 0, 0, 1, 0, 2));
}

TEST_F(JoinTest, WhoSubmitsAfterItsJoinIsBlamed) {
  make(3);
  forge(Announce{{{{}, {.kind = CollectiveKind::Join}}}, {}});
  forge(Announce{{{"a", allreduce({1})}}, {}}, 3);
  expect_blame("announced allreduce \"a\" in process set 0, where it waits for its join");
}

TEST_F(JoinTest, WhoJoinsTwiceIsBlamed) {
  make(3);
  forge(Announce{{{{}, {.kind = CollectiveKind::Join}}}, {}});
  forge(Announce{{{{}, {.kind = CollectiveKind::Join}}}, {}}, 3);
  expect_blame("announced join in process set 0, where it waits for its join");
}

TEST_F(JoinTest, WhoAnswersWhatItWasNotAskedIsBlamed) {
  make(3);
  forge(Announce{.full = {}, .cached = {}, .resends = 1});
  expect_blame("answered what it was not asked");
}

}  // namespace
}  // namespace farandole::control

// Process sets that come and go, in the one order of all ranks.

#include "controller/protocol/process_sets.h"

#include <limits>

#include "tests/protocol/cluster_test.h"

namespace farandole::control {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class ProcessSetsTest : public ClusterTest {
 protected:
  static Signature add(std::vector<int64_t> ranks) {
    return {.kind = CollectiveKind::AddProcessSet, .operand = std::move(ranks)};
  }
  static Signature remove(int64_t id) {
    return {.kind = CollectiveKind::RemoveProcessSet, .operand = {id}};
  }
  static Signature in_set(uint32_t id) {
    Signature s = allreduce({4});
    s.process_set = id;
    return s;
  }
  std::string rejection_of(const Signature& s) {
    step("x", s);
    return told().back().rejected.empty() ? "" : told().back().rejected.back().why.message();
  }
};

TEST_F(ProcessSetsTest, ANewSetHasTheNextId) {
  make(3);  // set 1 exists
  step("x", add({0, 1}));
  EXPECT_THAT(told().back().ready, ElementsAre(ReadyOp{"x", 0, {2}, {}}));
  step("y", add({1, 2}));
  EXPECT_THAT(told(2).back().ready, ElementsAre(ReadyOp{"y", 0, {3}, {}}));
  for (const int rank : {1, 2}) announce(rank, "a", in_set(3));
  cluster_->settle();
  EXPECT_THAT(told().back().ready, ElementsAre(ReadyOp{"a", 3, {}, {}}));
  EXPECT_EQ(cluster_->coordinator().cached(), 1U) << "changes of sets are not cached";
}

TEST_F(ProcessSetsTest, WhatCannotBeIsRejectedOnAll) {
  make(3);
  EXPECT_EQ(rejection_of(add({0, 2})), "add_process_set: ranks [0, 2] are process set 1 already");
  EXPECT_EQ(
      rejection_of(add({0, 1, 2})), "add_process_set: ranks [0, 1, 2] are process set 0 already");
  EXPECT_EQ(rejection_of(add({1, 7})), "add_process_set: rank 7 does not exist; ranks are 0 to 2");
  EXPECT_EQ(rejection_of(add({1, 1})), "add_process_set: its ranks do not ascend");
  EXPECT_EQ(rejection_of(add({})), "add_process_set: a process set needs one rank at least");
  EXPECT_EQ(
      rejection_of(remove(0)), "remove_process_set: process set 0, all ranks, cannot be removed");
  EXPECT_EQ(rejection_of(remove(9)), "remove_process_set: there is no process set 9");
}

TEST_F(ProcessSetsTest, RanksThatDisagreeHearTheSame) {
  make(2);
  announce(0, "x", add({0}));
  announce(1, "x", add({1}));
  announce(0, "y", add({0}));
  announce(1, "y", remove(1));
  cluster_->settle();
  ASSERT_EQ(told().back().rejected.size(), 2U);
  EXPECT_EQ(
      told()[0].rejected[0].why,
      Status(
          Code::Mismatch,
          "add_process_set: ranks disagree on its ranks: rank 0 has [0], rank 1 has [1]; give one "
          "list of ranks on every rank"));
  EXPECT_EQ(
      told()[0].rejected[1].why,
      Status(
          Code::Mismatch,
          "\"y\": ranks disagree on operation: rank 0 has add_process_set, rank 1 has "
          "remove_process_set; change process sets in one order on every rank"));
  EXPECT_EQ(told(1), told(0));
  step("x", add({0}));
  EXPECT_THAT(told().back().ready, ElementsAre(ReadyOp{"x", 0, {2}, {}}));
}

TEST_F(ProcessSetsTest, RemovalRejectsWhatIsPendingAndForgetsTheRest) {
  make(3);
  for (const int rank : {0, 2}) announce(rank, "cached", in_set(1));
  cluster_->settle();
  announce(2, "pending", in_set(1));
  step("a", allreduce({1}));
  step("x", remove(1));
  const Agreement& round = told().back();
  EXPECT_THAT(round.ready, ElementsAre(ReadyOp{"x", 0, {}, {}}));
  ASSERT_EQ(round.rejected.size(), 1U);
  EXPECT_EQ(round.rejected[0].process_set, 1U);
  EXPECT_EQ(
      round.rejected[0].why,
      Status(Code::InvalidArgument, "allreduce \"pending\": process set 1 was removed"));
  EXPECT_EQ(cluster_->coordinator().cached(), 1U);
  for (const int rank : {0, 1, 2}) EXPECT_EQ(cluster_->worker(rank).cached(), 1U);
  announce(0, "cached", in_set(1));
  cluster_->settle();
  EXPECT_EQ(
      told().back().rejected[0].why.message(), "allreduce \"cached\": process set 1 was removed");
  EXPECT_EQ(cluster_->coordinator().pending(), 0U);
}

// Rank 2 announces by the id while the removal is on its way to it.
TEST_F(ProcessSetsTest, AnIdOfARemovedSetIsAnsweredOnce) {
  make(3);
  for (const int rank : {0, 2}) announce(rank, "cached", in_set(1));
  cluster_->settle();
  announce_all("x", remove(1));
  for (const int rank : {0, 1, 2}) cluster_->step_up(rank);
  announce(2, "cached", in_set(1));
  cluster_->settle();
  EXPECT_EQ(
      told(2).back().rejected[0].why.message(), "allreduce \"cached\": process set 1 was removed");
  EXPECT_EQ(cluster_->worker(2).cached(), 0U);
}

// Rank 2 announces by an id that "b" has taken over meanwhile, and removes the set after that.
TEST_F(ProcessSetsTest, ARemovalWaitsForWhatIsAnnouncedAgain) {
  make(3, 1);
  for (const int rank : {0, 2}) announce(rank, "a", in_set(1));
  cluster_->settle();
  announce_all("b", allreduce({1}));
  for (const int rank : {0, 1, 2}) cluster_->step_up(rank);
  announce(2, "a", in_set(1));
  announce_all("x", remove(1));
  for (int turn = 0; turn < 2; ++turn) cluster_->step_up(2);
  announce(0, "a", in_set(1));
  for (const int rank : {0, 1}) cluster_->step_up(rank);
  cluster_->settle();
  for (const int rank : {0, 1, 2}) {
    for (const Agreement& round : told(rank)) EXPECT_THAT(round.rejected, IsEmpty());
    EXPECT_EQ(told(rank).back().ready.back().name, "x");
  }
  EXPECT_EQ(cluster_->coordinator().pending(), 0U);
}

TEST_F(ProcessSetsTest, WhatWaitsForThatIsBounded) {
  Limits limits;
  limits.max_pending = 2;
  make(3, 1, limits);
  for (const auto* name : {"a", "b"}) {  // which takes the id of "a" from it
    for (const int rank : {0, 2}) announce(rank, name, in_set(1));
    cluster_->settle();
  }
  forge_unanswered(Announce{{}, {1}}, 2);
  forge_unanswered(Announce{{{"x", remove(1)}, {"y", remove(1)}}, {}}, 3);
  forge(Announce{{{"z", remove(1)}}, {}}, 4);
  expect_blame("announced more than 2 tensors at once (FARANDOLE_MAX_PENDING)");
}

TEST_F(ProcessSetsTest, AnIdIsNeverGivenAgain) {
  make(2);
  step("x", add({0}));
  step("x", remove(2));
  step("x", add({0}));
  EXPECT_THAT(told().back().ready, ElementsAre(ReadyOp{"x", 0, {3}, {}}));
}

TEST_F(ProcessSetsTest, OfALeaverOnlyItsOwnSetsEnd) {
  make(4);  // set 1: 0 and 2
  announce_all("x", add({0, 1}));
  cluster_->settle();
  finish(3);
  for (const int rank : {0, 1}) announce(rank, "a", in_set(2));
  cluster_->settle();
  EXPECT_THAT(told().back().ready, ElementsAre(ReadyOp{"a", 2, {}, {}}));
  for (const int rank : {0, 1, 2}) announce(rank, "y", add({0, 1, 2}));
  cluster_->settle();
  EXPECT_EQ(told().back().rejected[0].why.code(), Code::PeerLost) << "all ranks are needed";
}

TEST_F(ProcessSetsTest, OtherSetsDoNotWaitForRankZero) {
  Limits limits;
  limits.fusion_bytes = 1000;
  make(3, 16384, limits);
  cluster_->coordinator().on_backlog(5);
  step("a", allreduce({1}));
  EXPECT_THAT(told(), IsEmpty());
  for (const int rank : {0, 2}) announce(rank, "b", in_set(1));
  cluster_->settle();
  ASSERT_EQ(told().size(), 1U);
  EXPECT_EQ(told()[0].ready.size(), 2U);
  for (const int rank : {0, 2}) announce(rank, "b", in_set(1));  // by its id
  cluster_->settle();
  EXPECT_EQ(told().size(), 2U);
}

TEST_F(ProcessSetsTest, AJoinOfARemovedSetEnds) {
  make(3);
  cluster_->announce(2, {{{}, {.kind = CollectiveKind::Join, .process_set = 1}}});
  step("x", remove(1));
  EXPECT_EQ(told(2).back().rejected[0].why.message(), "join: process set 1 was removed");
}

std::string added(ProcessSets& sets, std::vector<int64_t> ranks) {
  return sets.add(ranks).status().to_string();
}

TEST(ProcessSets, AreSoManyAndNoMore) {
  ProcessSets::Map given;
  for (uint32_t id = 1; id <= ProcessSets::kMost - 2; ++id) given[id] = {0};
  ProcessSets sets(3, given);
  const std::string refused =
      "InvalidArgument: there are 65536 process sets, and no more are possible";
  EXPECT_TRUE(sets.add(std::vector<int64_t>{1}));
  EXPECT_EQ(added(sets, {2}), refused);
  sets.remove(7);
  EXPECT_TRUE(sets.add(std::vector<int64_t>{2}));
  EXPECT_EQ(added(sets, {0, 1}), refused);
}

// An id is given once, so that whoever uses an old one does not meet another set.
TEST(ProcessSets, AreNoMoreWhereTheIdsHaveRunOut) {
  const uint32_t last = std::numeric_limits<uint32_t>::max();
  ProcessSets sets(3, {{last - 1, {0}}});
  EXPECT_EQ(sets.add(std::vector<int64_t>{1}).value(), last);
  sets.remove(last);
  EXPECT_EQ(
      added(sets, {2}), "InvalidArgument: there are 2 process sets, and no more are possible");
}

}  // namespace
}  // namespace farandole::control

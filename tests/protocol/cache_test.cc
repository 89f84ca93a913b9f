// The signature cache: what travels, and what an id stands for.

#include "tests/protocol/cluster_test.h"

namespace farandole::control {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Signature gather(int64_t rows) {
  Signature s = allreduce({rows, 2});
  s.kind = CollectiveKind::Allgather;
  return s;
}

class CacheTest : public ClusterTest {};

// The id of a rejected tensor is forgotten: the rank that was wrong would otherwise mean another
// signature by it than the coordinator.
TEST_F(CacheTest, AMismatchAfterAgreementForgetsTheId) {
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

TEST_F(CacheTest, ARepeatedTensorTravelsAsAnId) {
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

TEST_F(CacheTest, AChangedSignatureGetsAnotherId) {
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

TEST_F(CacheTest, ChangedRowsKeepTheIdAndTravelAlone) {
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

TEST_F(CacheTest, RaggedAlltoallIsRememberedPerRank) {
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

// What another rank than the root says does not matter, whether or not it says it in full.
TEST_F(CacheTest, OfAScatterTheRootIsRemembered) {
  make(2);
  Signature root = allreduce({4, 2});
  root.kind = CollectiveKind::Scatter;
  root.root = 1;
  root.operand = {5};
  Signature other = of_receiver(root);
  const auto dtype = static_cast<int64_t>(root.dtype);
  announce(0, "a", other);
  announce(1, "a", root);
  cluster_->settle();
  EXPECT_THAT(told()[0].ready, ElementsAre(ReadyOp{"a", 0, {dtype, 5, 2, 2, 2}}));
  other.shape = {7};
  announce(0, "a", other);
  announce(1, "a", root);
  cluster_->settle();
  EXPECT_EQ(told()[1].ready, told()[0].ready);
  root.splits = {4, 0};
  announce(0, "a", other);
  announce(1, "a", root);
  cluster_->settle();
  EXPECT_THAT(told()[2].ready, ElementsAre(ReadyOp{"a", 0, {dtype, 5, 4, 0, 2}}));
  EXPECT_EQ(cluster_->coordinator().cached(), 1U);
}

TEST_F(CacheTest, WithoutACacheNothingIsRemembered) {
  make(2, 0);
  const size_t first = step("a", allreduce({3}));
  EXPECT_EQ(step("a", allreduce({3})), first);
  EXPECT_EQ(cluster_->coordinator().cached(), 0U);
  EXPECT_EQ(cluster_->worker(1).cached(), 0U);
  EXPECT_EQ(told().size(), 2U);
}

TEST_F(CacheTest, TheLeastRecentlyAgreedMakesRoom) {
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

TEST_F(CacheTest, AnAnnouncedTensorIsNotEvicted) {
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
TEST_F(CacheTest, AnEvictedIdIsAskedForAgain) {
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

}  // namespace
}  // namespace farandole::control

// What is agreed upon, when and in which order.

#include "tests/protocol/cluster_test.h"

namespace farandole::control {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class AgreementTest : public ClusterTest {};

TEST_F(AgreementTest, ATensorIsReadyWhenAllHaveAnnouncedIt) {
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

TEST_F(AgreementTest, TheOrderIsThatInWhichTensorsBecameReady) {
  make(2);
  for (const char* name : {"a", "b", "c"}) announce(0, name, allreduce({1}));
  for (const char* name : {"c", "a", "b"}) announce(1, name, allreduce({1}));
  cluster_->settle();
  ASSERT_EQ(told().size(), 1U);
  EXPECT_THAT(
      told()[0].ready, ElementsAre(ReadyOp{"c", 0, {}}, ReadyOp{"a", 0, {}}, ReadyOp{"b", 0, {}}));
  EXPECT_EQ(told(1), told(0));
}

TEST_F(AgreementTest, ProcessSetsAreCountedApart) {
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

TEST_F(AgreementTest, AnUnknownProcessSetIsRejected) {
  make(2);
  Signature s = allreduce({1});
  s.process_set = 9;
  announce(1, "a", s);
  cluster_->settle();
  EXPECT_EQ(
      told()[0].rejected[0].why,
      Status(Code::InvalidArgument, "allreduce \"a\": there is no process set 9"));
}

TEST_F(AgreementTest, AMismatchRejectsOneTensorAndNothingElse) {
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
          "allreduce \"a\": ranks disagree on shape: rank 0 has [3], rank 1 has [4]; give tensors "
          "of "
          "one shape on every rank"));
  EXPECT_EQ(told(1), told(0));
  step("a", allreduce({3}));
  EXPECT_THAT(told()[1].ready, ElementsAre(ReadyOp{"a", 0, {}}));
}

TEST_F(AgreementTest, SmallRoundsWaitWhileRankZeroIsBusy) {
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

TEST_F(AgreementTest, RejectionsDoNotWait) {
  make(2);
  cluster_->coordinator().on_backlog(5);
  announce(0, "a", allreduce({3}));
  announce(1, "a", allreduce({4}));
  cluster_->settle();
  EXPECT_EQ(told().size(), 1U);
}

TEST_F(AgreementTest, ALargeRoundIsSplitIntoFrames) {
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

}  // namespace
}  // namespace farandole::control

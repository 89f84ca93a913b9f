// Messages: what two ranks agree upon, and the others only hear of.

#include "core/way.h"

#include "controller/protocol/validation.h"
#include "tests/protocol/cluster_test.h"

namespace farandole::control {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto kFloats = static_cast<int64_t>(DType::Float32);

Signature sent(Way way, std::vector<int64_t> shape, uint32_t process_set = 0) {
  Signature s;
  s.kind = CollectiveKind::Message;
  s.process_set = process_set;
  s.root = way.from;
  s.operand = {way.to};
  s.shape = std::move(shape);
  return s;
}

class WayTest : public ClusterTest {
 protected:
  void send(const std::string& name, Way way, const Signature& signature) {
    announce(way.from, with_way(name, way), signature);
  }
  void receive(const std::string& name, Way way, const Signature& signature) {
    announce(way.to, with_way(name, way), signature);
  }
  void exchange(const std::string& name, const Signature& s) {
    send(name, way_of(s), s);
    receive(name, way_of(s), of_receiver(s));
    cluster_->settle();
  }
  std::string last_rejection() { return told().back().rejected.back().why.message(); }
};

TEST_F(WayTest, BothEndsSufficeAndAllHear) {
  make(3);
  const Signature s = sent({2, 0}, {4, 2});
  send("a", {2, 0}, s);
  cluster_->settle();
  EXPECT_THAT(told(), IsEmpty());
  receive("a", {2, 0}, of_receiver(s));
  cluster_->settle();
  EXPECT_THAT(told()[0].ready, ElementsAre(ReadyOp{"a 2->0", 0, {kFloats, 0, 4, 2}, {}}));
  EXPECT_EQ(told(1), told(0));
  EXPECT_EQ(cluster_->coordinator().pending(), 0U);
}

TEST_F(WayTest, OneNameIsAnotherTensorOnEachWay) {
  make(3);
  for (const Way way : {Way{0, 1}, Way{1, 0}, Way{0, 2}}) send("a", way, sent(way, {2}));
  cluster_->settle();
  EXPECT_THAT(told(), IsEmpty()) << "nobody receives";
  receive("a", {1, 0}, of_receiver(sent({1, 0}, {})));
  cluster_->settle();
  ASSERT_EQ(told().size(), 1U);
  EXPECT_EQ(told()[0].ready[0].name, "a 1->0");
}

// The number that the sender tells travels, as that of a scatter does.
TEST_F(WayTest, TheSenderTellsANumber) {
  make(2);
  Signature s = sent({1, 0}, {});
  s.operand.push_back(1);  // the same as kHasMemory
  exchange("a", s);
  exchange("a", s);
  EXPECT_THAT(told()[1].ready, ElementsAre(ReadyOp{"a 1->0", 0, {kFloats, 1}, {}}));
  receive("a", {1, 0}, of_receiver(s));
  s.shape = {3};
  send("a", {1, 0}, s);
  cluster_->settle();
  EXPECT_THAT(told()[2].ready, ElementsAre(ReadyOp{"a 1->0", 0, {kFloats, 1, 3}, {}}));
}

TEST_F(WayTest, MemoryForSomethingElseIsToldToBothEnds) {
  make(3);
  const Signature s = sent({0, 2}, {2, 3});
  Signature other = of_receiver(s, true);
  other.dtype = DType::Int64;
  send("x", {0, 2}, s);
  receive("x", {0, 2}, other);
  cluster_->settle();
  EXPECT_EQ(told().back().rejected.back().why.code(), Code::Mismatch);
  EXPECT_EQ(
      last_rejection(),
      "message \"x 0->2\": rank 0 sends float32 [2, 3], but rank 2 has memory for int64 [2, 3]; "
      "give "
      "memory for what is sent, or none");
  EXPECT_EQ(told(2), told(0));
  other = of_receiver(s, true);
  send("x", {0, 2}, s);
  receive("x", {0, 2}, other);
  cluster_->settle();
  EXPECT_EQ(told().back().ready.size(), 1U) << "the next one works";
  // The receiver announces it by its id, and the sender in full.
  send("x", {0, 2}, sent({0, 2}, {3, 2}));
  receive("x", {0, 2}, other);
  cluster_->settle();
  EXPECT_THAT(last_rejection(), HasSubstr("rank 0 sends float32 [3, 2], but rank 2 has memory"));
}

TEST_F(WayTest, DevicesAreOfOneKind) {
  make(2);
  const Signature s = sent({0, 1}, {2});
  Signature other = of_receiver(s);
  other.device.type = DeviceType::Cuda;
  send("x", {0, 1}, s);
  receive("x", {0, 1}, other);
  cluster_->settle();
  EXPECT_EQ(
      last_rejection(),
      "message \"x 0->1\": ranks disagree on device: rank 0 has cpu, rank 1 has cuda; give memory "
      "of "
      "one kind of device on every rank");
}

TEST_F(WayTest, RepeatedOnesCostAnId) {
  make(3);
  exchange("a", sent({1, 2}, {4}));
  const size_t before = cluster_->bytes_up();
  exchange("a", sent({1, 2}, {4}));
  EXPECT_LT(cluster_->bytes_up() - before, 400U);
  EXPECT_EQ(cluster_->coordinator().cached(), 1U);
  EXPECT_EQ(told()[1].ready, told()[0].ready);
}

TEST_F(WayTest, OfAProcessSetOnlyMembers) {
  make(3);
  exchange("a", sent({2, 0}, {4}, 1));
  EXPECT_THAT(told()[0].ready, ElementsAre(ReadyOp{"a 2->0", 1, {kFloats, 0, 4}, {}}));
}

TEST_F(WayTest, ToOrFromOneWhoHasJoinedIsRefused) {
  make(3);
  send("early", {0, 1}, sent({0, 1}, {1}));
  cluster_->announce(1, {{{}, {.kind = CollectiveKind::Join}}});
  cluster_->settle();
  EXPECT_EQ(
      last_rejection(),
      "message \"early 0->1\": rank 1 has joined and receives nothing; what rank 0 sends to it "
      "belongs before the join");
  receive("late", {1, 2}, of_receiver(sent({1, 2}, {})));
  cluster_->settle();
  EXPECT_EQ(
      last_rejection(),
      "message \"late 1->2\": rank 1 has joined and sends nothing; what rank 2 receives from it "
      "belongs before the join");
  exchange("a", sent({0, 2}, {4}));
  EXPECT_THAT(told().back().ready, ElementsAre(ReadyOp{"a 0->2", 0, {kFloats, 0, 4}, {}}))
      << "others go on, without anybody who stands in";
}

TEST_F(WayTest, ALeaverEndsThoseOfItsSets) {
  make(3);
  send("a", {0, 2}, sent({0, 2}, {1}));
  cluster_->settle();
  cluster_->act(2, cluster_->worker(2).leave());
  cluster_->settle();
  EXPECT_EQ(told().back().rejected.back().why.code(), Code::PeerLost);
  EXPECT_EQ(told().back().rejected.back().why.culprit(), 2);
  EXPECT_THAT(last_rejection(), HasSubstr("message \"a 0->2\": rank 2 (host host2) left the job"));
}

TEST_F(WayTest, WhoIsNoEndOfItIsBlamed) {
  make(3);
  forge(Announce{{{"a 0->2", sent({0, 2}, {1})}}, {}});
  expect_blame("announced a message from rank 0 to rank 2 in process set 0");
}

TEST_F(WayTest, WhoSendsOutOfTheSetIsBlamed) {
  make(4);
  forge(Announce{{{"a 1->3", sent({1, 3}, {1}, 1)}}, {}});
  expect_blame("announced \"a 1->3\" in process set 1, of which it is no member");
}

TEST_F(WayTest, AnIdOfOthersIsBlamed) {
  make(3);
  exchange("a", sent({0, 2}, {4}));
  forge(Announce{{}, {1}});
  expect_blame("announced id 1, in which it has no part");
}

TEST(Ways, OfAStallTheOtherEndAloneIsWaitedFor) {
  using std::chrono_literals::operator""s;
  Cluster cluster({.limits = small_limits(4), .process_sets = {}, .stalls = {.report = 10s}});
  cluster.form();
  cluster.announce(1, {{"x 1->3", sent({1, 3}, {4})}});
  cluster.settle();
  cluster.now = kStart + 10s;
  cluster.act(cluster.coordinator().tick(cluster.now));
  cluster.settle();
  for (const int rank : {0, 2}) EXPECT_THAT(cluster.seen(rank).questions, IsEmpty());
  const auto& asked = cluster.seen(3).questions;
  ASSERT_FALSE(asked.empty());
  cluster.act(3, cluster.worker(3).answer(asked.back(), "here"));
  cluster.settle();
  ASSERT_EQ(cluster.reports.size(), 1U);
  EXPECT_EQ(
      lines_of(cluster.reports[0]).at(0),
      "message \"x 1->3\" has waited for 10 s: rank 1 has submitted it, rank 3 has not");
}

TEST_F(WayTest, TooLargeATensorIsRefused) {
  constexpr int64_t kHuge = int64_t{1} << 62;
  const std::vector<Signature> both{sent({0, 1}, {0, kHuge, kHuge}), sent({0, 1}, {})};
  const std::vector<int> ranks{0, 1};
  const auto extents = validate("a 0->1", ranks, both);
  EXPECT_EQ(extents.status().message(), "message \"a 0->1\": it has more than 2^63 bytes");
}

}  // namespace
}  // namespace farandole::control

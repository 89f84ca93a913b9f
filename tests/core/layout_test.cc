#include "core/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace farandole {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Signature of(CollectiveKind kind, std::vector<int64_t> shape) {
  Signature s;
  s.kind = kind;
  s.shape = std::move(shape);
  return s;
}

TEST(Layout, AllreduceKeepsItsShape) {
  const Layout layout = lay_out(of(CollectiveKind::Allreduce, {2, 3}), {}, 0, 2);
  EXPECT_EQ(layout.segment_count, 6U);
  EXPECT_THAT(layout.result_shape, ElementsAre(2, 3));
  EXPECT_THAT(layout.counts, IsEmpty());
}

TEST(Layout, ScalarHasOneElement) {
  EXPECT_EQ(lay_out(of(CollectiveKind::Broadcast, {}), {}, 0, 2).segment_count, 1U);
}

TEST(Layout, AllgatherAddsTheRows) {
  const Layout layout = lay_out(of(CollectiveKind::Allgather, {1, 4}), {3, 1, 0}, 1, 3);
  EXPECT_THAT(layout.counts, ElementsAre(12, 4, 0));
  EXPECT_THAT(layout.result_shape, ElementsAre(4, 4));
}

TEST(Layout, ReducescatterGivesTheFirstRanksOneRowMore) {
  const Layout first = lay_out(of(CollectiveKind::Reducescatter, {5, 2}), {}, 0, 3);
  const Layout last = lay_out(of(CollectiveKind::Reducescatter, {5, 2}), {}, 2, 3);
  EXPECT_THAT(first.counts, ElementsAre(4, 4, 2));
  EXPECT_THAT(first.result_shape, ElementsAre(2, 2));
  EXPECT_THAT(last.result_shape, ElementsAre(1, 2));
}

TEST(Layout, AlltoallReadsItsColumn) {
  const Layout layout = lay_out(of(CollectiveKind::Alltoall, {3, 2}), {1, 2, 4, 0}, 0, 2);
  EXPECT_THAT(layout.counts, ElementsAre(2, 4, 8, 0));
  EXPECT_THAT(layout.received, ElementsAre(1, 4));
  EXPECT_THAT(layout.result_shape, ElementsAre(5, 2));
}

struct BadExtents {
  const char* why;
  Signature signature;
  std::vector<int64_t> extents;
};

Signature with_splits(std::vector<int64_t> shape, std::vector<int64_t> splits) {
  Signature s = of(CollectiveKind::Alltoall, std::move(shape));
  s.splits = std::move(splits);
  return s;
}

// What a coordinator that is no honest one could tell rank 1 of 2; memory depends on it.
TEST(Extents, ThatDoNotFitAreRefused) {
  constexpr int64_t kHuge = int64_t{1} << 61;
  const BadExtents cases[] = {
      {"too few", of(CollectiveKind::Allgather, {1, 4}), {1}},
      {"too many", of(CollectiveKind::Allgather, {1, 4}), {1, 1, 1}},
      {"not its own", of(CollectiveKind::Allgather, {1, 4}), {1, 2}},
      {"negative", of(CollectiveKind::Allgather, {1, 4}), {-1, 1}},
      {"no such size", of(CollectiveKind::Allgather, {1, 4}), {kHuge, 1}},
      {"no such sum", of(CollectiveKind::Allgather, {kHuge}), {3 * kHuge, kHuge}},
      {"no rows", of(CollectiveKind::Allgather, {}), {1, 1}},
      {"no square", of(CollectiveKind::Alltoall, {2}), {1, 1, 1}},
      {"not its share", of(CollectiveKind::Alltoall, {2}), {1, 1, 2, 0}},
      {"not its splits", with_splits({3}, {1, 2}), {1, 1, 2, 1}},
      {"negative", with_splits({3}, {1, 2}), {-1, 1, 1, 2}},
      {"none wanted", of(CollectiveKind::Allreduce, {2}), {1, 1}},
      {"no rows", of(CollectiveKind::Reducescatter, {}), {}},
  };
  for (const BadExtents& bad : cases) {
    const Status status = check_extents(bad.signature, bad.extents, 1, 2);
    EXPECT_EQ(status.code(), Code::PeerLost) << bad.why;
    EXPECT_EQ(status.culprit(), 0) << bad.why;
  }
}

TEST(Extents, ThatFitAreTaken) {
  EXPECT_TRUE(check_extents(of(CollectiveKind::Allreduce, {2}), {}, 1, 2));
  EXPECT_TRUE(check_extents(of(CollectiveKind::Barrier, {}), {}, 1, 2));
  EXPECT_TRUE(check_extents(of(CollectiveKind::Reducescatter, {3}), {}, 1, 2));
  EXPECT_TRUE(check_extents(of(CollectiveKind::Allgather, {1, 0}), {7, 1}, 1, 2));
  EXPECT_TRUE(check_extents(of(CollectiveKind::Alltoall, {2}), {5, 6, 1, 1}, 1, 2));
  EXPECT_TRUE(check_extents(with_splits({3}, {1, 2}), {0, 4, 1, 2}, 1, 2));
  EXPECT_TRUE(check_extents(of(CollectiveKind::Gather, {1, 0}), {7, 1}, 1, 2));
}

constexpr auto kFloats = static_cast<int64_t>(DType::Float32);

// Rank 1 of 2; the root is it, or rank 0.
TEST(Extents, OfAScatterAreThoseOfTheRoot) {
  Signature root = of(CollectiveKind::Scatter, {4, 3});
  EXPECT_TRUE(check_extents(root, {kFloats, 9, 2, 2, 3}, 1, 2, 1));
  EXPECT_FALSE(check_extents(root, {kFloats, 9, 1, 3, 3}, 1, 2, 1)) << "unequal";
  EXPECT_FALSE(check_extents(root, {kFloats, 9, 2, 2, 4}, 1, 2, 1)) << "other columns";
  EXPECT_FALSE(check_extents(root, {kFloats, 9, 2, 2}, 1, 2, 1)) << "no columns";
  EXPECT_FALSE(check_extents(root, {kFloats + 1, 9, 2, 2, 3}, 1, 2, 1)) << "other dtype";
  EXPECT_FALSE(check_extents(root, {kFloats, 9, 2, 3, 3}, 1, 2, 1)) << "other rows";
  root.splits = {1, 3};
  EXPECT_TRUE(check_extents(root, {kFloats, 9, 1, 3, 3}, 1, 2, 1));
  const Signature other = of_receiver(root);
  EXPECT_TRUE(check_extents(other, {kFloats, 9, 1, 3, 3}, 1, 2, 0));
  EXPECT_FALSE(check_extents(other, {kDTypeCount, 9, 1, 3, 3}, 1, 2, 0)) << "no dtype";
  EXPECT_FALSE(check_extents(other, {kFloats, 9, 1}, 1, 2, 0)) << "too few";
  EXPECT_FALSE(check_extents(other, {}, 1, 2, 0)) << "none";
  EXPECT_FALSE(check_extents(other, {kFloats, 9, 1, -3, 3}, 1, 2, 0)) << "negative";
  constexpr int64_t kHuge = int64_t{1} << 61;
  EXPECT_FALSE(check_extents(other, {kFloats, 9, kHuge, kHuge, 1}, 1, 2, 0)) << "no such size";
}

TEST(Layout, ScatterGivesEachItsRows) {
  Signature root = of(CollectiveKind::Scatter, {4, 3});
  root.splits = {1, 3};
  const std::vector<int64_t> extents{kFloats, 9, 1, 3, 3};
  const Layout of_root = lay_out(root, extents, 0, 2, 0);
  EXPECT_THAT(of_root.counts, ElementsAre(3, 9));
  EXPECT_THAT(of_root.result_shape, ElementsAre(1, 3));
  EXPECT_EQ(of_root.segment_count, 12U);
  const Layout other = lay_out(of_receiver(root), extents, 1, 2, 0);
  EXPECT_THAT(other.counts, ElementsAre(3, 9));
  EXPECT_THAT(other.result_shape, ElementsAre(3, 3));
  EXPECT_EQ(other.dtype, DType::Float32);
  EXPECT_EQ(other.segment_count, 0U);
  EXPECT_EQ(other.value, 9);
}

// Rank 1 of 2 receives, or sends.
TEST(Extents, OfAMessageAreThoseOfTheSender) {
  Signature sent = of(CollectiveKind::Message, {2, 3});
  sent.operand = {0, 9};
  EXPECT_TRUE(check_extents(sent, {kFloats, 9, 2, 3}, 1, 2, 1));
  EXPECT_FALSE(check_extents(sent, {kFloats, 9, 3, 2}, 1, 2, 1)) << "another shape";
  EXPECT_FALSE(check_extents(sent, {kFloats + 1, 9, 2, 3}, 1, 2, 1)) << "another dtype";
  const Signature received = of_receiver(sent);
  EXPECT_TRUE(check_extents(received, {kFloats + 1, 9, 5}, 1, 2, 0));
  EXPECT_TRUE(check_extents(received, {kFloats, 9}, 1, 2, 0)) << "0-dim";
  EXPECT_FALSE(check_extents(received, {kFloats}, 1, 2, 0)) << "too few";
  EXPECT_FALSE(check_extents(received, {kDTypeCount, 9, 5}, 1, 2, 0)) << "no dtype";
  EXPECT_FALSE(check_extents(received, {kFloats, 9, -5}, 1, 2, 0)) << "negative";
  constexpr int64_t kHuge = int64_t{1} << 61;
  EXPECT_FALSE(check_extents(received, {kFloats, 9, kHuge, kHuge}, 1, 2, 0)) << "no such size";
  const Signature with_memory = of_receiver(sent, true);
  EXPECT_TRUE(check_extents(with_memory, {kFloats, 9, 2, 3}, 1, 2, 0));
  EXPECT_FALSE(check_extents(with_memory, {kFloats, 9, 2, 4}, 1, 2, 0)) << "no memory for that";
}

TEST(Layout, AMessageIsTheReceivers) {
  Signature sent = of(CollectiveKind::Message, {2, 3});
  sent.operand = {1, 9};
  const std::vector<int64_t> extents{kFloats, 9, 2, 3};
  const Layout of_sender = lay_out(sent, extents, 0, 2, 0);
  EXPECT_FALSE(of_sender.has_result);
  EXPECT_THAT(of_sender.result_shape, ElementsAre(0));
  EXPECT_EQ(of_sender.segment_count, 6U);
  const Layout of_other = lay_out(of_receiver(sent), extents, 1, 2, 0);
  EXPECT_TRUE(of_other.has_result);
  EXPECT_THAT(of_other.result_shape, ElementsAre(2, 3));
  EXPECT_EQ(of_other.dtype, DType::Float32);
  EXPECT_EQ(of_other.segment_count, 6U);
  EXPECT_EQ(of_other.value, 9);
}

TEST(Layout, TheResultIsTheRootsAlone) {
  const Layout root = lay_out(of(CollectiveKind::Gather, {1, 4}), {3, 1, 0}, 1, 3, 1);
  EXPECT_TRUE(root.has_result);
  EXPECT_THAT(root.result_shape, ElementsAre(4, 4));
  EXPECT_THAT(root.received, ElementsAre(3, 1, 0));
  const Layout other = lay_out(of(CollectiveKind::Gather, {1, 4}), {3, 1, 0}, 1, 3, 0);
  EXPECT_FALSE(other.has_result);
  EXPECT_THAT(other.result_shape, ElementsAre(0));
  EXPECT_THAT(other.counts, ElementsAre(12, 4, 0));
  EXPECT_TRUE(lay_out(of(CollectiveKind::Reduce, {2}), {}, 0, 2, 0).has_result);
  EXPECT_FALSE(lay_out(of(CollectiveKind::Reduce, {2}), {}, 1, 2, 0).has_result);
}

}  // namespace
}  // namespace farandole

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
}

}  // namespace
}  // namespace farandole

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

}  // namespace
}  // namespace farandole

#include "core/fusion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace farandole {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Signature tensor(int64_t floats, CollectiveKind kind = CollectiveKind::Allreduce) {
  Signature s;
  s.kind = kind;
  s.shape = {floats};
  return s;
}

std::vector<BucketPlan> plan(const std::vector<Signature>& signatures, size_t limit) {
  std::vector<FusionItem> items;
  for (const Signature& s : signatures) items.push_back({&s});
  return fuse(items, limit);
}

TEST(Fusion, NothingGivesNothing) {
  EXPECT_THAT(plan({}, 100), IsEmpty());
}

TEST(Fusion, FillsABucketUpToTheLimitExactly) {
  EXPECT_THAT(
      plan({tensor(2), tensor(2), tensor(1)}, 16), ElementsAre(ElementsAre(0, 1), ElementsAre(2)));
}

TEST(Fusion, LooksPastTensorsOfAnotherKind) {
  Signature half = tensor(1);
  half.dtype = DType::Float16;
  EXPECT_THAT(
      plan({tensor(1), half, tensor(1)}, 100), ElementsAre(ElementsAre(0, 2), ElementsAre(1)));
}

TEST(Fusion, KeepsApartWhatMustNotShareACollective) {
  const Signature base = tensor(1);
  std::vector<Signature> all(7, base);
  all[1].reduce = ReduceOp::Max;
  all[2].prescale = 0.5;
  all[3].postscale = 0.5;
  all[4].kind = CollectiveKind::Broadcast;
  all[5].kind = CollectiveKind::Broadcast;
  all[5].root = 1;
  all[6].device = {DeviceType::Cuda, 0};
  EXPECT_EQ(plan(all, 1000).size(), all.size());
}

TEST(Fusion, ATensorLargerThanTheLimitTravelsAlone) {
  EXPECT_THAT(
      plan({tensor(1), tensor(100), tensor(1)}, 16),
      ElementsAre(ElementsAre(0), ElementsAre(1), ElementsAre(2)));
}

TEST(Fusion, ALimitOfZeroTurnsItOff) {
  EXPECT_EQ(plan({tensor(1), tensor(1)}, 0).size(), 2U);
}

TEST(Fusion, ReducesOfOneRootTravelTogether) {
  std::vector<Signature> all(3, tensor(1, CollectiveKind::Reduce));
  all[1].root = 1;
  EXPECT_THAT(plan(all, 100), ElementsAre(ElementsAre(0, 2), ElementsAre(1)));
}

TEST(Fusion, RaggedKindsAreNeverFused) {
  EXPECT_EQ(
      plan({tensor(1, CollectiveKind::Allgather), tensor(1, CollectiveKind::Allgather)}, 100)
          .size(),
      2U);
}

}  // namespace
}  // namespace farandole

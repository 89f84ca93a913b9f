// The arithmetic of Adasum, and who works on which part; what comes of both is judged by the
// contract suite.

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "hwy/targets.h"

#include "collectives/cpu/adasum_kernels.h"
#include "collectives/cpu/adasum_layout.h"

namespace farandole::cpu {
namespace {

template <typename T>
std::vector<T> waves(size_t count, double step) {
  std::vector<T> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = static_cast<T>(std::sin(step * static_cast<double>(i)));
  return values;
}

template <typename T>
void same_bits_on_every_instruction_set(DType dtype) {
  for (const size_t count : {0, 1, 7, 8, 9, 1003}) {
    const std::vector<T> a = waves<T>(count, 0.7), b = waves<T>(count, 1.1);
    long double ab = 0, aa = 0;
    for (size_t i = 0; i < count; ++i) {
      ab += static_cast<long double>(a[i]) * b[i];
      aa += static_cast<long double>(a[i]) * a[i];
    }
    const Products want = products(dtype, a.data(), b.data(), count);
    EXPECT_NEAR(want.ab, static_cast<double>(ab), 1e-12);
    EXPECT_NEAR(want.aa, static_cast<double>(aa), 1e-12);
    EXPECT_EQ(want.bb, products(dtype, b.data(), a.data(), count).aa);
    std::vector<T> sum = a;
    add_scaled(dtype, 0.3, sum.data(), -1.7, b.data(), count);
    for (size_t i = 0; i < count; ++i)
      EXPECT_EQ(
          sum[i],
          static_cast<T>(0.3 * static_cast<double>(a[i]) + -1.7 * static_cast<double>(b[i])));
    for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
      hwy::SetSupportedTargetsForTest(target);
      const Products got = products(dtype, a.data(), b.data(), count);
      EXPECT_EQ(got.ab, want.ab) << hwy::TargetName(target);
      EXPECT_EQ(got.aa, want.aa) << hwy::TargetName(target);
      EXPECT_EQ(got.bb, want.bb) << hwy::TargetName(target);
      std::vector<T> again = a;
      add_scaled(dtype, 0.3, again.data(), -1.7, b.data(), count);
      EXPECT_EQ(again, sum) << hwy::TargetName(target);
      hwy::SetSupportedTargetsForTest(0);
    }
  }
}

TEST(AdasumKernels, GiveTheSameBitsOnEveryInstructionSet) {
  same_bits_on_every_instruction_set<float>(DType::Float32);
  same_bits_on_every_instruction_set<double>(DType::Float64);
}

TEST(AdasumLayout, EveryElementHasOneOwner) {
  for (const size_t members : {1, 2, 3, 8})
    for (const size_t long_one : {0, 5, 100000}) {
      const std::vector<Segment> segments{{nullptr, nullptr, 3}, {nullptr, nullptr, long_one}};
      CollectiveOp op;
      op.segments = segments;
      size_t held = 0;
      for (size_t index = 0; index < members; ++index) {
        const AdasumLayout layout(op, members, index);
        EXPECT_EQ(layout.total, 3 + long_one);
        EXPECT_EQ(layout.whole, long_one < 100);
        EXPECT_EQ(layout.before, layout.whole ? layout.before : held);
        held += layout.whole ? layout.lengths[index] : layout.held;
        for (size_t s = 0; s < segments.size(); ++s) {
          size_t count = 0;
          for (const auto& piece : layout.pieces_of(s)) count += piece.place.count;
          const size_t own = cut(segments[s].count, index, members).count;
          EXPECT_EQ(count, layout.whole ? segments[s].count : own);
        }
      }
      EXPECT_EQ(held, 3 + long_one);
    }
}

}  // namespace
}  // namespace farandole::cpu

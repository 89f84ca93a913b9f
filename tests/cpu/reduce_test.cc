#include "collectives/cpu/reduce.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <tuple>

#include "gtest/gtest.h"
#include "hwy/targets.h"

#include "collectives/cpu/copy.h"
#include "tests/support/arithmetic.h"

namespace farandole::cpu {
namespace {

using testing::Bytes;
using testing::Reduction;

std::vector<const void*> pointers(const std::vector<Bytes>& sources) {
  std::vector<const void*> out;
  for (const Bytes& s : sources) out.push_back(s.data());
  return out;
}

std::vector<Bytes> make_sources(DType dtype, ReduceOp op, size_t count, size_t n) {
  std::vector<Bytes> sources;
  for (size_t k = 0; k < n; ++k) sources.push_back(testing::make_values(dtype, op, count, k + 1));
  return sources;
}

class Reduce : public ::testing::TestWithParam<std::tuple<int, int>> {
 protected:
  DType dtype() const { return static_cast<DType>(std::get<0>(GetParam())); }
  ReduceOp op() const { return static_cast<ReduceOp>(std::get<1>(GetParam())); }
  bool meaningful() const { return has_meaning(op(), dtype()); }
  std::vector<std::pair<double, double>> scales() const {
    if (dtype() == DType::Bool)
      return {{1, 1}};
    return {{1, 1}, {0.5, 1}, {1, 3}, {1.5, -0.25}};
  }
};

TEST_P(Reduce, MatchesTheReference) {
  if (!meaningful()) {
    EXPECT_EQ(check({dtype(), op()}).code(), Code::Unsupported);
    return;
  }
  for (const auto& [pre, post] : scales()) {
    for (const size_t n : {1, 2, 3, 8}) {
      for (const size_t count : {0, 1, 3, 15, 16, 17, 63, 257, 1000}) {
        const auto sources = make_sources(dtype(), op(), count, n);
        Bytes result(count * size_of(dtype()));
        const ReduceSpec spec{dtype(), op(), pre, post, n};
        ASSERT_TRUE(check(spec).is_ok());
        reduce(spec, result.data(), pointers(sources), count);
        const auto wrong =
            testing::difference({dtype(), op(), pre, post}, sources, 0, result.data(), count);
        ASSERT_FALSE(wrong) << *wrong << " of " << count << ", " << n << " sources, scales " << pre
                            << " " << post;
      }
    }
  }
}

// Two destinations, the second aligned and not, around the caches and not.
void write_to_both(const ReduceSpec& spec, const std::vector<Bytes>& sources, const Bytes& want) {
  const size_t size = size_of(spec.dtype), count = want.size() / size;
  for (const StorePolicy policy : {StorePolicy::Plain, StorePolicy::NonTemporal}) {
    for (const size_t shift : {size_t{0}, size_t{3}, size, 16 * size}) {
      Bytes first(want.size()), second(want.size() + shift + 1, 0xee);
      Reducer(spec).to_both(first.data(), second.data() + shift, pointers(sources), count, policy);
      finish_stores();
      EXPECT_EQ(first, want);
      EXPECT_EQ(std::memcmp(second.data() + shift, want.data(), want.size()), 0);
      EXPECT_EQ(second.back(), 0xee);
    }
  }
}

// One result, made in many ways: every instruction set this machine has, in pieces, misaligned,
// over a source, into two places, around the caches.
TEST_P(Reduce, GivesTheSameBitsHoweverItIsDone) {
  if (!meaningful())
    return;  // MatchesTheReference sees it refused
  constexpr size_t kCount = 3001, kSources = 3;
  const size_t size = size_of(dtype());
  const auto sources = make_sources(dtype(), op(), kCount, kSources);
  for (const auto& [pre, post] : scales()) {
    const ReduceSpec spec{dtype(), op(), pre, post, kSources};
    Bytes want(kCount * size);
    reduce(spec, want.data(), pointers(sources), kCount);
    for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
      hwy::SetSupportedTargetsForTest(target);
      Bytes got(kCount * size);
      reduce(spec, got.data(), pointers(sources), kCount);
      EXPECT_EQ(got, want) << hwy::TargetName(target);
      hwy::SetSupportedTargetsForTest(0);
    }
    Bytes pieces(kCount * size);
    for (size_t first = 0, part = 1; first < kCount; first += part, part = part * 2 + 1) {
      part = std::min(part, kCount - first);
      std::vector<const void*> from;
      for (const Bytes& s : sources) from.push_back(s.data() + first * size);
      reduce(spec, pieces.data() + first * size, from, part);
    }
    EXPECT_EQ(pieces, want);
    Bytes misaligned(kCount * size + 1);
    reduce(spec, misaligned.data() + 1, pointers(sources), kCount);
    EXPECT_EQ(std::memcmp(misaligned.data() + 1, want.data(), want.size()), 0);
    for (size_t k = 0; k < kSources; ++k) {
      auto over = sources;
      reduce(spec, over[k].data(), pointers(over), kCount);
      EXPECT_EQ(over[k], want) << "over source " << k;
    }
    for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
      hwy::SetSupportedTargetsForTest(target);
      write_to_both(spec, sources, want);
      hwy::SetSupportedTargetsForTest(0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All,
    Reduce,
    ::testing::Combine(::testing::Range(0, kDTypeCount), ::testing::Range(0, kElementwiseOpCount)),
    [](const auto& info) {
      return std::string(name_of(static_cast<DType>(std::get<0>(info.param)))) + "_" +
             name_of(static_cast<ReduceOp>(std::get<1>(info.param)));
    });

template <typename T>
T reduce_values(ReduceSpec spec, const std::vector<T>& values) {
  std::vector<const void*> sources;
  for (const T& v : values) sources.push_back(&v);
  spec.members = values.size();
  T result{};
  reduce(spec, &result, sources, 1);
  return result;
}

TEST(ReduceFloats, MinAndMaxPassNanOn) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const ReduceOp op : {ReduceOp::Min, ReduceOp::Max}) {
    for (const auto& values :
         {std::vector<float>{nan, 1, 2},
          std::vector<float>{1, nan, 2},
          std::vector<float>{1, 2, nan}})
      EXPECT_TRUE(std::isnan(reduce_values({DType::Float32, op}, values)));
  }
}

// Every float16 and bfloat16, and every midpoint between neighbours with what lies beside it, on
// every instruction set: decoding and rounding are exact.
TEST(ReduceHalves, RoundOnceToNearestEven) {
  for (const DType dtype : {DType::Float16, DType::Bfloat16}) {
    std::vector<uint16_t> all(65536);
    std::iota(all.begin(), all.end(), uint16_t{0});
    const void* source = all.data();
    for (const double scale : {0.5, 1.0 + 0x1p-11, 1.0 / 3, 0x1p-14, 3.0}) {
      std::vector<uint16_t> want(all.size());
      for (size_t i = 0; i < all.size(); ++i) {
        const float product =
            static_cast<float>(testing::decode_half(dtype, all[i])) * static_cast<float>(scale);
        want[i] = testing::encode_half(dtype, product);
      }
      for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
        hwy::SetSupportedTargetsForTest(target);
        std::vector<uint16_t> got(all.size());
        reduce({dtype, ReduceOp::Sum, scale}, got.data(), {&source, 1}, got.size());
        hwy::SetSupportedTargetsForTest(0);
        for (size_t i = 0; i < all.size(); ++i) {
          if (std::isnan(testing::decode_half(dtype, want[i]))) {
            EXPECT_TRUE(std::isnan(testing::decode_half(dtype, got[i]))) << i;
          } else {
            ASSERT_EQ(got[i], want[i]) << name_of(dtype) << " " << i << " times " << scale << " on "
                                       << hwy::TargetName(target);
          }
        }
      }
    }
  }
}

TEST(ReduceIntegers, AverageOfInt64IsExact) {
  const int64_t big = (int64_t{1} << 60) + 1;
  EXPECT_EQ(reduce_values<int64_t>({DType::Int64, ReduceOp::Average}, {big, big, big}), big);
  EXPECT_EQ(reduce_values<int64_t>({DType::Int64, ReduceOp::Average}, {-3, -4}), -3);
  // A sum that 64 bits hold, on a way that they do not.
  const int64_t most = std::numeric_limits<int64_t>::max();
  const auto average = [](std::vector<int64_t> values) {
    return reduce_values<int64_t>({DType::Int64, ReduceOp::Average}, values);
  };
  EXPECT_EQ(average({most, most, -most}), most / 3);
  EXPECT_EQ(average({-most, -most, most}), -most / 3);
}

// Equal values are their own average, whatever their sum.
template <typename T>
void average_the_limits(DType dtype) {
  for (const T limit : {std::numeric_limits<T>::max(), std::numeric_limits<T>::min()})
    EXPECT_EQ(reduce_values<T>({dtype, ReduceOp::Average}, std::vector<T>(5, limit)), limit);
}

TEST(ReduceIntegers, AverageDoesNotWrap) {
  average_the_limits<uint8_t>(DType::Uint8);
  average_the_limits<int8_t>(DType::Int8);
  average_the_limits<uint16_t>(DType::Uint16);
  average_the_limits<int16_t>(DType::Int16);
  average_the_limits<int32_t>(DType::Int32);
  average_the_limits<int64_t>(DType::Int64);
}

// Scales are applied before and after, to what they would be without them.
TEST(ReduceIntegers, AverageScalesEachValueAndTheResult) {
  EXPECT_EQ(reduce_values<uint8_t>({DType::Uint8, ReduceOp::Average, 100.0, 0.5}, {7, 9}), 127);
  EXPECT_EQ(reduce_values<int8_t>({DType::Int8, ReduceOp::Average, 1.0, 2.0}, {100, 100}), 127);
}

TEST(ReduceIntegers, SumAndProductWrap) {
  const int64_t max = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(
      reduce_values<int64_t>({DType::Int64, ReduceOp::Sum}, {max, 1}),
      std::numeric_limits<int64_t>::min());
  EXPECT_EQ(reduce_values<int64_t>({DType::Int64, ReduceOp::Product}, {max, 2}), -2);
  EXPECT_EQ(reduce_values<uint8_t>({DType::Uint8, ReduceOp::Sum}, {200, 100}), 44);
}

TEST(ReduceIntegers, ScalesTruncateAndSaturate) {
  const auto scaled = [](double s) { return ReduceSpec{DType::Int64, ReduceOp::Sum, s, 1}; };
  EXPECT_EQ(reduce_values<int64_t>(scaled(0.5), {-3}), -1);
  EXPECT_EQ(reduce_values<int64_t>(scaled(1e30), {1}), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(reduce_values<int64_t>(scaled(-1e30), {1}), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(reduce_values<int64_t>(scaled(std::nan("")), {1}), 0);
  EXPECT_EQ(reduce_values<uint8_t>({DType::Uint8, ReduceOp::Sum, -1.0}, {7}), 0);
  EXPECT_EQ(reduce_values<uint8_t>({DType::Uint8, ReduceOp::Sum, 100.0}, {7}), 255);
}

TEST(ReduceBool, BringsBytesToZeroOrOne) {
  EXPECT_EQ(reduce_values<uint8_t>({DType::Bool, ReduceOp::Sum}, {2}), 1);
  EXPECT_EQ(reduce_values<uint8_t>({DType::Bool, ReduceOp::Product}, {4, 2}), 1);
  EXPECT_FALSE(is_identity({DType::Bool, ReduceOp::Sum}));
}

TEST(ReduceCheck, RefusesWhatHasNoMeaning) {
  EXPECT_EQ(check({DType::Bool, ReduceOp::Sum, 2.0}).code(), Code::InvalidArgument);
  EXPECT_EQ(check({DType::Complex64, ReduceOp::Min}).code(), Code::Unsupported);
  EXPECT_EQ(check({DType::Float32, ReduceOp::Adasum}).code(), Code::Unsupported);
  EXPECT_EQ(check({DType::Float32, ReduceOp::Sum, 1, 1, 0}).code(), Code::InvalidArgument);
}

TEST(Copy, CopiesWhateverTheAlignment) {
  const Bytes from = testing::make_values(DType::Uint8, ReduceOp::Sum, 9000, 1);
  for (const size_t shift : {0, 1, 31, 64}) {
    for (const size_t bytes : {0, 1, 1023, 1024, 1111, 8000}) {
      for (const StorePolicy policy : {StorePolicy::Plain, StorePolicy::NonTemporal}) {
        Bytes to(bytes + shift + 1, 0xee);
        copy(to.data() + shift, from.data() + 7, bytes, policy);
        EXPECT_EQ(std::memcmp(to.data() + shift, from.data() + 7, bytes), 0);
        EXPECT_EQ(to.back(), 0xee);
        if (shift != 0) {
          EXPECT_EQ(to[shift - 1], 0xee);
        }
      }
    }
  }
}

}  // namespace
}  // namespace farandole::cpu

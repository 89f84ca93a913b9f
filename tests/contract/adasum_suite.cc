#include "tests/contract/adasum_suite.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "gtest/gtest.h"

#include "tests/contract/suite_test.h"
#include "tests/support/adasum.h"

namespace farandole::testing {
namespace {

using Values = std::vector<std::vector<float>>;  // of each rank

CollectiveOp adasum_op(std::span<const Segment> segments) {
  CollectiveOp op;
  op.reduce = ReduceOp::Adasum;
  op.segments = segments;
  op.name = "a";
  return op;
}

// In place, one tensor; all ranks' result, which has to be the same. `absent` stands in.
std::vector<float> combine(Group& group, Values values, int absent = -1) {
  const Status status = group.run([&](int rank) {
    std::vector<float>& own = values[static_cast<size_t>(rank)];
    const Segment segment{own.data(), own.data(), own.size(), rank == absent};
    CollectiveOp op = adasum_op({&segment, 1});
    op.contributors = absent < 0 ? 0 : static_cast<size_t>(group.size()) - 1;
    return group.at(rank).run(op, 0);
  });
  EXPECT_TRUE(status.is_ok()) << status.to_string();
  for (const auto& result : values)
    EXPECT_EQ(std::memcmp(result.data(), values[0].data(), result.size() * sizeof(float)), 0);
  return values[0];
}

// Few elements, which are gathered whole, and many, which are handed out.
constexpr size_t kFew = 40, kMany = 40000;

Values zeros(int ranks, size_t count) {
  return Values(static_cast<size_t>(ranks), std::vector<float>(count));
}

void add_what_is_orthogonal(Group& group, size_t count) {
  Values values = zeros(group.size(), count);
  std::vector<float> sum(count);
  for (size_t i = 0; i < count; ++i)
    sum[i] = values[i % values.size()][i] = static_cast<float>(i) * 0.25F - 3.0F;
  EXPECT_EQ(combine(group, values), sum);
}

void average_what_is_equal(Group& group, size_t count) {
  std::vector<float> one(count);
  for (size_t i = 0; i < count; ++i) one[i] = static_cast<float>(i) * 0.5F - 7.0F;
  EXPECT_EQ(combine(group, Values(static_cast<size_t>(group.size()), one)), one);
}

void cancel_what_is_opposite(Group& group, size_t count) {
  Values values = zeros(group.size(), count);
  values[0].assign(count, 3.0F);
  if (group.size() > 1)
    values[1].assign(count, -3.0F);
  EXPECT_EQ(combine(group, values), std::vector<float>(count, group.size() > 1 ? 0.0F : 3.0F));
}

// Whatever the others are, a rank of zeros leaves them, and one that stands in is not there.
void leave_out_zeros_and_the_absent(Group& group, size_t count) {
  Values values = zeros(group.size(), count);
  std::vector<std::vector<double>> others;
  const int absent = group.size() / 2;
  for (int rank = 0; rank < group.size(); ++rank) {
    auto& own = values[static_cast<size_t>(rank)];
    for (size_t i = 0; i < count; ++i)
      own[i] = std::sin(static_cast<float>(i * static_cast<size_t>(rank + 1)));
    if (rank != absent)
      others.emplace_back(own.begin(), own.end());
  }
  if (others.empty())
    return;
  // What it holds is not looked at.
  const std::vector<float> got = combine(group, values, absent);
  const std::vector<double> want = adasum(others);
  for (size_t i = 0; i < count; ++i) ASSERT_NEAR(got[i], want[i], 1e-5) << i;
  if (group.size() != 2)
    return;
  std::vector<float>& zero = values[static_cast<size_t>(absent)];
  const std::vector<float> other = values[static_cast<size_t>(1 - absent)];
  zero.assign(count, 0.0F);
  EXPECT_EQ(combine(group, values), other);
}

void spoil_by_what_is_not_finite(Group& group, size_t count) {
  if (group.size() == 1)
    return;
  for (const float bad : {std::numeric_limits<float>::infinity(), std::nanf("")})
    for (const float other : {1.0F, 0.0F}) {
      Values values(static_cast<size_t>(group.size()), std::vector<float>(count, other));
      values.back()[count / 2] = bad;
      for (const float value : combine(group, values)) ASSERT_TRUE(std::isnan(value));
    }
}

// The value of a tensor does not depend on what travels with it.
void judge_each_segment_alone(Group& group) {
  for (const DType dtype : {DType::Float32, DType::Float64, DType::Float16, DType::Bfloat16}) {
    const Bytes all = adasum_of_many(group, dtype);
    EXPECT_EQ(all, adasum_of_many(group, dtype)) << "a second time";
  }
}

void refuse_what_it_does_not_do(Group& group) {
  const std::vector<size_t> counts(static_cast<size_t>(group.size()), 1);
  for (int rank = 0; rank < group.size(); ++rank) {
    std::vector<int64_t> data(static_cast<size_t>(group.size()));
    const Segment segment{data.data(), data.data(), data.size()};
    CollectiveOp op = adasum_op({&segment, 1});
    op.dtype = DType::Int64;
    EXPECT_EQ(
        group.at(rank).run(op, 0).message(), "allreduce \"a\": Adasum has no meaning for int64");
    op.kind = CollectiveKind::Reducescatter;
    op.dtype = DType::Float64;
    op.counts = counts;
    EXPECT_EQ(
        group.at(rank).run(op, 0).message(),
        "reducescatter \"a\": Adasum belongs to allreduce alone");
  }
  EXPECT_EQ(combine(group, zeros(group.size(), 3)), std::vector<float>(3));
}

void judge(const Backend& backend, int size) {
  Group group(backend, size, backend.config);
  ASSERT_TRUE(group.connected().is_ok()) << group.connected().to_string();
  for (const size_t count : {kFew, kMany}) {
    add_what_is_orthogonal(group, count);
    average_what_is_equal(group, count);
    cancel_what_is_opposite(group, count);
    leave_out_zeros_and_the_absent(group, count);
    spoil_by_what_is_not_finite(group, count);
  }
  judge_each_segment_alone(group);
  refuse_what_it_does_not_do(group);
}

}  // namespace

// Together and each by itself: the same.
Bytes adasum_of_many(Group& group, DType dtype) {
  const std::vector<size_t> counts{3, 0, 1, 5000, 700, 20};
  const size_t element = size_of(dtype);
  std::vector<std::vector<Bytes>> outs(static_cast<size_t>(group.size()));
  const Status status = group.run([&](int rank) {
    std::vector<Bytes> in, together, alone;
    std::vector<Segment> segments;
    for (size_t s = 0; s < counts.size(); ++s) {
      const uint64_t seed = 100 * s + static_cast<uint64_t>(rank);
      in.push_back(make_values(dtype, ReduceOp::Adasum, counts[s], seed));
      together.emplace_back(counts[s] * element);
      alone.emplace_back(counts[s] * element);
    }
    for (size_t s = 0; s < counts.size(); ++s)
      segments.push_back({in[s].data(), together[s].data(), counts[s]});
    CollectiveOp op = adasum_op(segments);
    op.dtype = dtype;
    FARANDOLE_RETURN_IF_ERROR(group.at(rank).run(op, 0));
    for (size_t s = 0; s < counts.size(); ++s) {
      const Segment segment{in[s].data(), alone[s].data(), counts[s]};
      op.segments = {&segment, 1};
      FARANDOLE_RETURN_IF_ERROR(group.at(rank).run(op, 0));
    }
    EXPECT_EQ(together, alone) << name_of(dtype);
    outs[static_cast<size_t>(rank)] = std::move(together);
    return Status::ok();
  });
  EXPECT_TRUE(status.is_ok()) << status.to_string();
  Bytes joined;
  for (const Bytes& out : outs[0]) joined.insert(joined.end(), out.begin(), out.end());
  for (const auto& out : outs) EXPECT_EQ(out, outs[0]) << name_of(dtype);
  return joined;
}

void join_adasum_contract(const std::shared_ptr<const Backend>& backend, int size) {
  register_suite_test(
      backend->name + "Contract", "adasum_" + std::to_string(size), [=] { judge(*backend, size); });
}

}  // namespace farandole::testing

#include "controller/protocol/validation.h"

#include <gtest/gtest.h>

#include <limits>

#include "controller/protocol/ranks.h"

namespace farandole::control {
namespace {

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max() / 2;

Signature make(CollectiveKind kind, std::vector<int64_t> shape) {
  Signature s;
  s.kind = kind;
  s.dtype = DType::Float32;
  s.shape = std::move(shape);
  return s;
}

Signature exchange(std::vector<int64_t> shape, std::vector<int64_t> splits) {
  Signature s = make(CollectiveKind::Alltoall, std::move(shape));
  s.splits = std::move(splits);
  return s;
}

template <typename Change>
Signature with(Signature s, Change change) {
  change(s);
  return s;
}

struct Rejected {
  Code code;
  const char* text;
  std::vector<Signature> signatures;  // of ranks 0, 2, 3 …
};

void PrintTo(const Rejected& r, std::ostream* out) {
  *out << r.text;
}

class Rejects : public testing::TestWithParam<Rejected> {};

TEST_P(Rejects, WithOneText) {
  const std::vector<int> ranks{0, 2, 3, 4, 5, 6};
  const auto& signatures = GetParam().signatures;
  const auto result = validate("grad/12", std::span(ranks).first(signatures.size()), signatures);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.status().message(), GetParam().text);
  EXPECT_EQ(result.status().code(), GetParam().code);
}

const Signature kReduce = make(CollectiveKind::Allreduce, {8, 3});
const Signature kGather = make(CollectiveKind::Allgather, {8, 3});
const Signature kBroadcast = make(CollectiveKind::Broadcast, {8, 3});
const Signature kScatter = make(CollectiveKind::Reducescatter, {8, 3});

const Rejected kRejected[] = {
    {Code::Mismatch,
     "\"grad/12\": ranks disagree on operation: rank 0 has allreduce, rank 2 has allgather; "
     "give unlike operations unlike names",
     {kReduce, kGather}},
    {Code::Mismatch,
     "allreduce \"grad/12\": ranks disagree on shape: rank 0 has [8, 3], rank 2 has [8, 4]; "
     "give tensors of one shape on every rank",
     {kReduce, make(CollectiveKind::Allreduce, {8, 4})}},
    {Code::Mismatch,
     "allreduce \"grad/12\": ranks disagree on shape: ranks 0 and 3 have [8, 3], rank 2 has []; "
     "give tensors of one shape on every rank",
     {kReduce, make(CollectiveKind::Allreduce, {}), kReduce}},
    {Code::Mismatch,
     "allreduce \"grad/12\": ranks disagree on shape: rank 0 has [1], rank 2 has [2], rank 3 has "
     "[3], rank 4 has [4], 2 more have others; "
     "give tensors of one shape on every rank",
     {make(CollectiveKind::Allreduce, {1}),
      make(CollectiveKind::Allreduce, {2}),
      make(CollectiveKind::Allreduce, {3}),
      make(CollectiveKind::Allreduce, {4}),
      make(CollectiveKind::Allreduce, {5}),
      make(CollectiveKind::Allreduce, {6})}},
    {Code::Mismatch,
     "allreduce \"grad/12\": ranks disagree on dtype: rank 0 has float32, rank 2 has float64; "
     "give tensors of one dtype, and compress alike, on every rank",
     {kReduce, with(kReduce, [](Signature& s) { s.dtype = DType::Float64; })}},
    {Code::Mismatch,
     "allreduce \"grad/12\": ranks disagree on device: rank 0 has cpu, rank 2 has cuda; "
     "give memory of one kind of device on every rank",
     {kReduce, with(kReduce, [](Signature& s) { s.device.type = DeviceType::Cuda; })}},
    {Code::Mismatch,
     "allreduce \"grad/12\": ranks disagree on reduce op: rank 0 has Sum, rank 2 has Max; "
     "call it with one op on every rank",
     {kReduce, with(kReduce, [](Signature& s) { s.reduce = ReduceOp::Max; })}},
    {Code::Mismatch,
     "allreduce \"grad/12\": ranks disagree on prescale: rank 0 has 1, rank 2 has 0.5; "
     "call it with one prescale factor on every rank",
     {kReduce, with(kReduce, [](Signature& s) { s.prescale = 0.5; })}},
    {Code::Mismatch,
     "reducescatter \"grad/12\": ranks disagree on postscale: rank 0 has 1, rank 2 has 2; "
     "call it with one postscale factor on every rank",
     {kScatter, with(kScatter, [](Signature& s) { s.postscale = 2; })}},
    {Code::Mismatch,
     "reducescatter \"grad/12\": ranks disagree on shape: rank 0 has [8, 3], rank 2 has [9, 3]; "
     "give tensors of one shape on every rank",
     {kScatter, make(CollectiveKind::Reducescatter, {9, 3})}},
    {Code::InvalidArgument,
     "reducescatter \"grad/12\": rank 0 has a 0-dim tensor; at least one dimension is wanted",
     {make(CollectiveKind::Reducescatter, {}), make(CollectiveKind::Reducescatter, {})}},
    {Code::Unsupported,
     "allreduce \"grad/12\": Average has no meaning for bool",
     std::vector<Signature>(
         2,
         with(
             kReduce,
             [](Signature& s) {
               s.dtype = DType::Bool;
               s.reduce = ReduceOp::Average;
             }))},
    {Code::Unsupported,
     "allreduce \"grad/12\": Adasum has no meaning for int32",
     std::vector<Signature>(
         2,
         with(
             kReduce,
             [](Signature& s) {
               s.dtype = DType::Int32;
               s.reduce = ReduceOp::Adasum;
             }))},
    {Code::InvalidArgument,
     "reducescatter \"grad/12\": Adasum belongs to allreduce alone",
     std::vector<Signature>(2, with(kScatter, [](Signature& s) { s.reduce = ReduceOp::Adasum; }))},
    {Code::Mismatch,
     "broadcast \"grad/12\": ranks disagree on root rank: rank 0 has 0, rank 2 has 2; "
     "call it with one root rank on every rank",
     {kBroadcast, with(kBroadcast, [](Signature& s) { s.root = 2; })}},
    {Code::Mismatch,
     "broadcast \"grad/12\": ranks disagree on shape: rank 0 has [8, 3], rank 2 has [3, 8]; "
     "give tensors of one shape on every rank",
     {kBroadcast, make(CollectiveKind::Broadcast, {3, 8})}},
    {Code::Mismatch,
     "reduce \"grad/12\": ranks disagree on root rank: rank 0 has 0, rank 2 has 2; "
     "call it with one root rank on every rank",
     {make(CollectiveKind::Reduce, {8, 3}),
      with(make(CollectiveKind::Reduce, {8, 3}), [](Signature& s) { s.root = 2; })}},
    {Code::Mismatch,
     "reduce \"grad/12\": ranks disagree on shape: rank 0 has [8, 3], rank 2 has [8, 4]; "
     "give tensors of one shape on every rank",
     {make(CollectiveKind::Reduce, {8, 3}), make(CollectiveKind::Reduce, {8, 4})}},
    {Code::Mismatch,
     "gather \"grad/12\": ranks disagree on shape: rank 0 has [*, 3], rank 2 has [*, 4]; "
     "give tensors alike in all dimensions but the first",
     {make(CollectiveKind::Gather, {8, 3}), make(CollectiveKind::Gather, {8, 4})}},
    {Code::InvalidArgument,
     "gather \"grad/12\": root rank 1 is not in process set 0",
     std::vector<Signature>(
         2, with(make(CollectiveKind::Gather, {8}), [](Signature& s) { s.root = 1; }))},
    {Code::Mismatch,
     "scatter \"grad/12\": ranks disagree on root rank: rank 0 has 0, rank 2 has 2; "
     "call it with one root rank on every rank",
     {make(CollectiveKind::Scatter, {8}),
      with(make(CollectiveKind::Scatter, {}), [](Signature& s) { s.root = 2; })}},
    {Code::InvalidArgument,
     "scatter \"grad/12\": rank 0 has a 0-dim tensor; at least one dimension is wanted",
     {make(CollectiveKind::Scatter, {}), make(CollectiveKind::Scatter, {8})}},
    {Code::InvalidArgument,
     "scatter \"grad/12\": rank 0 has 7 rows, which 2 members cannot share equally; splits are "
     "wanted",
     {make(CollectiveKind::Scatter, {7}), make(CollectiveKind::Scatter, {})}},
    {Code::InvalidArgument,
     "scatter \"grad/12\": the splits of rank 0 sum to 3, but it has 7 rows",
     {with(
          make(CollectiveKind::Scatter, {7}),
          [](Signature& s) {
            s.splits = {1, 2};
          }),
      make(CollectiveKind::Scatter, {})}},
    {Code::InvalidArgument,
     "scatter \"grad/12\": all parts together have more than 2^63 bytes",
     {make(CollectiveKind::Scatter, {0, kHuge, 0, kHuge}), make(CollectiveKind::Scatter, {})}},
    {Code::InvalidArgument,
     "broadcast \"grad/12\": root rank 1 is not in process set 0",
     std::vector<Signature>(2, with(kBroadcast, [](Signature& s) { s.root = 1; }))},
    {Code::Mismatch,
     "allgather \"grad/12\": ranks disagree on shape: rank 0 has [*, 3], rank 2 has [*, 4]; "
     "give tensors alike in all dimensions but the first",
     {kGather, make(CollectiveKind::Allgather, {8, 4})}},
    {Code::Mismatch,
     "allgather \"grad/12\": ranks disagree on shape: rank 0 has [*, 3], rank 2 has [*]; "
     "give tensors alike in all dimensions but the first",
     {kGather, make(CollectiveKind::Allgather, {8})}},
    {Code::InvalidArgument,
     "allgather \"grad/12\": rank 2 has a 0-dim tensor; at least one dimension is wanted",
     {kGather, make(CollectiveKind::Allgather, {})}},
    {Code::InvalidArgument,
     "allgather \"grad/12\": all parts together have more than 2^63 bytes",
     {make(CollectiveKind::Allgather, {kHuge / 2}), make(CollectiveKind::Allgather, {kHuge / 2})}},
    {Code::Mismatch,
     "alltoall \"grad/12\": ranks disagree on shape: rank 0 has [*, 3], rank 2 has [*, 2]; "
     "give tensors alike in all dimensions but the first",
     {exchange({2, 3}, {}), exchange({2, 2}, {})}},
    {Code::InvalidArgument,
     "alltoall \"grad/12\": rank 2 has 3 rows, which 2 members cannot share equally; splits are "
     "wanted",
     {exchange({2}, {}), exchange({3}, {})}},
    {Code::InvalidArgument,
     "alltoall \"grad/12\": rank 0 has 1 splits for 2 members",
     {exchange({2}, {2}), exchange({2}, {})}},
    {Code::InvalidArgument,
     "alltoall \"grad/12\": the splits of rank 2 sum to 3, but it has 2 rows",
     {exchange({2}, {}), exchange({2}, {1, 2})}},
    {Code::InvalidArgument,
     "alltoall \"grad/12\": all parts together have more than 2^63 bytes",
     {exchange({kHuge / 2}, {kHuge / 2, 0}), exchange({kHuge / 2}, {kHuge / 2, 0})}},
    // Each gets what can be, but told of all together they could not but take rank 0 for a liar.
    {Code::InvalidArgument,
     "alltoall \"grad/12\": all parts together have more than 2^63 bytes",
     {exchange({kHuge / 3}, {kHuge / 3, 0}), exchange({kHuge / 3}, {0, kHuge / 3})}},
};
INSTANTIATE_TEST_SUITE_P(Table, Rejects, testing::ValuesIn(kRejected));

struct Accepted {
  const char* what;
  std::vector<Signature> signatures;
  std::vector<int64_t> extents;
};

void PrintTo(const Accepted& a, std::ostream* out) {
  *out << a.what;
}

class Accepts : public testing::TestWithParam<Accepted> {};

TEST_P(Accepts, WithExtents) {
  const std::vector<int> ranks{0, 2, 3};
  const auto& signatures = GetParam().signatures;
  const auto result = validate("x", std::span(ranks).first(signatures.size()), signatures);
  ASSERT_TRUE(result) << result.status().message();
  EXPECT_EQ(result.value(), GetParam().extents);
}

const Accepted kAccepted[] = {
    {"equal allreduce", {kReduce, kReduce, kReduce}, {}},
    {"0-dim allreduce", std::vector<Signature>(3, make(CollectiveKind::Allreduce, {})), {}},
    {"empty allreduce", std::vector<Signature>(2, make(CollectiveKind::Allreduce, {0, 5})), {}},
    {"device index may differ",
     {kReduce, with(kReduce, [](Signature& s) { s.device.index = 1; })},
     {}},
    {"root of an allreduce has no meaning",
     {kReduce, with(kReduce, [](Signature& s) { s.root = 2; })},
     {}},
    {"reduce op of a broadcast has no meaning",
     {kBroadcast, with(kBroadcast, [](Signature& s) { s.reduce = ReduceOp::Max; })},
     {}},
    {"broadcast from a member",
     std::vector<Signature>(3, with(kBroadcast, [](Signature& s) { s.root = 3; })),
     {}},
    {"barrier looks at nothing else",
     {make(CollectiveKind::Barrier, {}), make(CollectiveKind::Barrier, {7})},
     {}},
    {"ragged gather",
     {make(CollectiveKind::Gather, {8, 3}), make(CollectiveKind::Gather, {0, 3})},
     {8, 0}},
    {"equal reduce", std::vector<Signature>(3, make(CollectiveKind::Reduce, {8, 3})), {}},
    {"of a scatter the root alone says what there is",
     {make(CollectiveKind::Scatter, {6, 3, 2}),
      with(make(CollectiveKind::Scatter, {5}), [](Signature& s) { s.dtype = DType::Bool; }),
      make(CollectiveKind::Scatter, {})},
     {static_cast<int64_t>(DType::Float32), 0, 2, 2, 2, 3, 2}},
    {"a scatter with splits and a number",
     {with(
          make(CollectiveKind::Scatter, {3}),
          [](Signature& s) {
            s.splits = {3, 0};
            s.operand = {77};
          }),
      make(CollectiveKind::Scatter, {})},
     {static_cast<int64_t>(DType::Float32), 77, 3, 0}},
    {"ragged allgather", {kGather, make(CollectiveKind::Allgather, {0, 3}), kGather}, {8, 0, 8}},
    {"even alltoall", {exchange({4}, {}), exchange({0}, {})}, {2, 2, 0, 0}},
    {"ragged alltoall", {exchange({4, 2}, {1, 3}), exchange({2, 2}, {})}, {1, 3, 1, 1}},
    {"one member", {exchange({4}, {4})}, {4}},
};
INSTANTIATE_TEST_SUITE_P(Table, Accepts, testing::ValuesIn(kAccepted));

TEST(Validation, NamesAreMadeSafe) {
  const std::vector<int> ranks{0, 1};
  const std::vector<Signature> signatures{kReduce, make(CollectiveKind::Allreduce, {1})};
  const auto result = validate("a\nb", ranks, signatures);
  EXPECT_EQ(
      result.status().message(),
      "allreduce \"a\\x0ab\": ranks disagree on shape: rank 0 has [8, 3], rank 1 has [1]; "
      "give tensors of one shape on every rank");
}

TEST(Validation, BytesSaturate) {
  EXPECT_EQ(input_bytes(kReduce), 96U);
  EXPECT_EQ(input_bytes(make(CollectiveKind::Allreduce, {})), 4U);
  EXPECT_EQ(input_bytes(make(CollectiveKind::Allreduce, {kHuge, 0, kHuge})), 0U);
  EXPECT_EQ(
      input_bytes(make(CollectiveKind::Allreduce, {kHuge, kHuge})),
      std::numeric_limits<uint64_t>::max());
}

TEST(RankList, IsShort) {
  EXPECT_EQ(rank_list({3}), "rank 3");
  EXPECT_EQ(rank_list({0, 1}), "ranks 0-1");
  EXPECT_EQ(rank_list({0, 2}), "ranks 0 and 2");
  EXPECT_EQ(rank_list({1, 2, 3, 7, 9, 10}), "ranks 1-3, 7 and 9-10");
  std::vector<int> odd;
  for (int rank = 1; rank < 100; rank += 2) odd.push_back(rank);
  EXPECT_EQ(
      rank_list(odd),
      "ranks 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31 and 34 more");
}

}  // namespace
}  // namespace farandole::control

#include "core/request_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace farandole {
namespace {

int memory = 0;

Request request(CollectiveKind kind, std::vector<int64_t> shape) {
  Request r;
  r.name = "t";
  r.in = &memory;
  r.signature.kind = kind;
  r.signature.shape = std::move(shape);
  return r;
}

std::string said(const Request& r, int members = 2) {
  return check_request(r, {.max_name_bytes = 16, .max_dims = 4, .members = members}).message();
}

TEST(RequestCheck, AcceptsWhatIsRight) {
  EXPECT_EQ(said(request(CollectiveKind::Allreduce, {})), "");
  EXPECT_EQ(said(request(CollectiveKind::Allgather, {0, 3})), "");
  EXPECT_EQ(said(request(CollectiveKind::Alltoall, {4})), "");
  Request empty = request(CollectiveKind::Allreduce, {0});
  empty.in = nullptr;
  EXPECT_EQ(said(empty), "");
}

TEST(RequestCheck, AdasumIsForFloatsAndAllreduce) {
  Request r = request(CollectiveKind::Allreduce, {});
  r.signature.reduce = ReduceOp::Adasum;
  EXPECT_EQ(said(r), "");
  r.signature.dtype = DType::Int32;
  EXPECT_EQ(
      said(r),
      "allreduce \"t\": Adasum has no meaning for int32; Sum, Average, Min, Max and Product have");
  r.signature.dtype = DType::Complex64;
  EXPECT_EQ(
      said(r),
      "allreduce \"t\": Adasum has no meaning for complex64; Sum, Average and Product have");
  r = request(CollectiveKind::Reducescatter, {2});
  r.signature.reduce = ReduceOp::Adasum;
  EXPECT_EQ(said(r), "reducescatter \"t\": Adasum belongs to allreduce alone");
}

TEST(RequestCheck, Shapes) {
  EXPECT_EQ(
      said(request(CollectiveKind::Allreduce, {2, -1})),
      "allreduce \"t\": shape [2, -1] has a negative extent");
  EXPECT_EQ(
      said(request(CollectiveKind::Allreduce, {1, 1, 1, 1, 1})),
      "allreduce \"t\": 5 dimensions are too many; at most 4 are supported");
  EXPECT_EQ(
      said(request(CollectiveKind::Allreduce, {int64_t{1} << 40, int64_t{1} << 40})),
      "allreduce \"t\": shape [1099511627776, 1099511627776] does not fit into memory");
  EXPECT_EQ(
      said(request(CollectiveKind::Allreduce, {0, int64_t{1} << 40, int64_t{1} << 40})),
      "allreduce \"t\": shape [0, 1099511627776, 1099511627776] does not fit into memory");
  EXPECT_EQ(
      said(request(CollectiveKind::Reducescatter, {})),
      "reducescatter \"t\": a 0-dim tensor has no rows to distribute; reshape it to [1]");
  Request null = request(CollectiveKind::Allreduce, {2});
  null.in = nullptr;
  EXPECT_EQ(said(null), "allreduce \"t\": input is null, but the shape is [2]");
}

TEST(RequestCheck, OverlapThatIsNotInPlace) {
  std::array<float, 8> data{};
  const auto of = [&](CollectiveKind kind, size_t in, size_t out) {
    Request r = request(kind, {4});
    r.signature.dtype = DType::Float32;
    r.in = data.data() + in;
    r.out = data.data() + out;
    return said(r);
  };
  const std::string overlap =
      "input and output overlap; give the same memory (in place), or memory apart from it";
  const std::string apart = "input and output overlap; give memory apart from it";
  EXPECT_EQ(of(CollectiveKind::Allreduce, 0, 0), "");
  EXPECT_EQ(of(CollectiveKind::Allreduce, 0, 4), "");
  EXPECT_EQ(of(CollectiveKind::Allreduce, 4, 0), "");
  EXPECT_EQ(of(CollectiveKind::Allreduce, 0, 1), "allreduce \"t\": " + overlap);
  EXPECT_EQ(of(CollectiveKind::Broadcast, 3, 0), "broadcast \"t\": " + overlap);
  EXPECT_EQ(of(CollectiveKind::Reducescatter, 2, 0), "");
  EXPECT_EQ(of(CollectiveKind::Reduce, 0, 0), "");
  EXPECT_EQ(of(CollectiveKind::Broadcast, 0, 0), "");
  EXPECT_EQ(of(CollectiveKind::Reducescatter, 1, 0), "reducescatter \"t\": " + apart);
  EXPECT_EQ(of(CollectiveKind::Allgather, 0, 3), "allgather \"t\": " + apart);
  for (const auto kind :
       {CollectiveKind::Allgather,
        CollectiveKind::Reducescatter,
        CollectiveKind::Alltoall,
        CollectiveKind::Gather,
        CollectiveKind::Scatter})
    EXPECT_EQ(of(kind, 0, 0), std::string(name_of(kind)) + " \"t\": " + apart);
}

TEST(RequestCheck, Splits) {
  Request r = request(CollectiveKind::Alltoall, {5});
  EXPECT_EQ(said(r), "alltoall \"t\": 5 rows cannot be split evenly over 2 ranks; give splits");
  r.signature.splits = {1, 2, 2};
  EXPECT_EQ(said(r), "alltoall \"t\": 3 splits for 2 ranks; one for each is wanted");
  r.signature.splits = {6, -1};
  EXPECT_EQ(said(r), "alltoall \"t\": splits [6, -1] ask for more than the tensor's 5 rows");
  r.signature.splits = {-1, 6};
  EXPECT_EQ(said(r), "alltoall \"t\": splits [-1, 6] contain a negative number");
  r.signature.splits = {1, 2};
  EXPECT_EQ(said(r), "alltoall \"t\": splits [1, 2] leave 2 of 5 rows over");
  r.signature.splits = {1, 4};
  EXPECT_EQ(said(r), "");
}

TEST(RequestCheck, Reductions) {
  Request r = request(CollectiveKind::Allreduce, {1});
  r.signature.dtype = DType::Bool;
  r.signature.reduce = ReduceOp::Average;
  EXPECT_EQ(
      said(r), "allreduce \"t\": Average has no meaning for bool; Sum, Min, Max and Product have");
  r.signature.reduce = ReduceOp::Sum;
  r.signature.prescale = 2;
  EXPECT_EQ(
      said(r),
      "allreduce \"t\": bool cannot be scaled; leave out the factors, or convert to a number");
  r.signature.dtype = DType::Float32;
  r.signature.prescale = INFINITY;
  EXPECT_EQ(said(r), "allreduce \"t\": scale factors must be finite, not inf and 1");
  r.signature.kind = CollectiveKind::Broadcast;
  r.signature.prescale = 2;
  EXPECT_EQ(said(r), "broadcast \"t\": scale factors belong to operations that reduce");
}

TEST(RequestCheck, RootNameAndSet) {
  Request r = request(CollectiveKind::Broadcast, {1});
  r.signature.root = 2;
  EXPECT_EQ(said(r), "broadcast \"t\": root rank 2 does not exist; ranks are 0 to 1");
  r.signature.root = 0;
  r.name = std::string(17, 'x');
  EXPECT_EQ(
      said(r), "broadcast \"xxxxxxxxxxxxxxxxx\": the name has 17 bytes; at most 16 are allowed");
}

TEST(RequestCheck, OfAScatterTheRootIsJudged) {
  Request r = request(CollectiveKind::Scatter, {5});
  r.signature.splits = {1, 2};
  EXPECT_EQ(said(r), "scatter \"t\": splits [1, 2] leave 2 of 5 rows over");
  r.signature.splits = {1, 4};
  r.signature.operand = {7};
  EXPECT_EQ(said(r), "");
  r.signature.operand = {7, 8};
  EXPECT_EQ(
      said(r), "scatter \"t\": a number to tell belongs to scatter and messages, which tell one");
  r = request(CollectiveKind::Scatter, {});
  EXPECT_EQ(said(r), "scatter \"t\": a 0-dim tensor has no rows to distribute; reshape it to [1]");
  r.signature.root = 1;
  EXPECT_EQ(said(r), "") << "the others take what comes";
  r.out = &memory;
  EXPECT_EQ(
      said(r),
      "scatter \"t\": output is given, but rank 1 alone knows how large it must be; leave it out "
      "(NULL), and copy the result");
  r.signature.root = 0;
  r.signature.shape = {2};
  r.in = nullptr;
  EXPECT_EQ(said(r), "scatter \"t\": input is null, but the shape is [2]");
  Request plain = request(CollectiveKind::Allreduce, {1});
  plain.signature.root = 1;
  EXPECT_EQ(said(plain), "allreduce \"t\": it has no root rank, but 1 is given");
}

Request message(int from, int64_t to, std::vector<int64_t> shape = {}) {
  Request r = request(CollectiveKind::Message, std::move(shape));
  r.name = "t 0->1";
  r.signature.root = from;
  r.signature.operand = {to};
  return r;
}

TEST(RequestCheck, AMessageHasTwoEnds) {
  EXPECT_EQ(said(message(0, 1, {3})), "");
  EXPECT_EQ(
      said(message(0, 2)),
      "message \"t 0->1\": rank 2, to which it goes, does not exist; ranks are 0 to 1");
  EXPECT_EQ(
      said(message(-1, 0)),
      "message \"t 0->1\": rank -1, from which it comes, does not exist; ranks are 0 to 1");
  EXPECT_EQ(
      said(message(0, 0)),
      "message \"t 0->1\": rank 0 would send to itself; copy the tensor instead");
  EXPECT_EQ(
      said(message(1, 2), 3),
      "message \"t 0->1\": rank 0 neither sends nor receives it; that is for ranks 1 and 2");
  Request r = message(0, 1);
  r.signature.operand.clear();
  EXPECT_THAT(said(r), testing::HasSubstr("it tells 0 numbers"));
  const std::array<int, 2> ranks{0, 2};
  const RequestLimits limits{.members = 2, .ranks = ranks, .size = 3, .rank = 0};
  EXPECT_EQ(
      check_request(message(0, 1), limits).message(),
      "message \"t 0->1\": rank 1, to which it goes, is not in process set 0, whose ranks are 0, "
      "2");
  EXPECT_EQ(check_request(message(2, 0), limits).message(), "");
}

TEST(RequestCheck, OfAMessageTheReceiverIsJudgedByItsMemory) {
  Request r = message(1, 0, {-1});
  EXPECT_EQ(said(r), "") << "who has none says nothing";
  r.out = &memory;
  EXPECT_EQ(said(r), "message \"t 0->1\": shape [-1] has a negative extent");
  r.in = nullptr;
  r.signature.shape = {2};
  EXPECT_EQ(said(r), "");
  complete_request(r, {.members = 2});
  EXPECT_EQ(r.signature.operand.size(), 2U);
  r.out = nullptr;
  complete_request(r, {.members = 2});
  EXPECT_EQ(r.signature, of_receiver(r.signature));
  r = message(0, 1, {2});
  r.in = nullptr;
  EXPECT_EQ(said(r), "message \"t 0->1\": input is null, but the shape is [2]");
}

TEST(RequestCheck, NamesOfMessagesAreTheirs) {
  Request r = request(CollectiveKind::Allreduce, {});
  r.name = "t 0->1";
  EXPECT_EQ(
      said(r),
      "allreduce \"t 0->1\": names that end like \" 0->1\" are those of messages; give another "
      "name");
}

// Outputs are looked at where there is a result.
TEST(RequestCheck, OverlapOfAReduceIsTheRootsAlone) {
  float memory[8] = {};
  Request r = request(CollectiveKind::Reduce, {4});
  r.in = memory;
  r.out = memory + 1;
  EXPECT_THAT(said(r), testing::HasSubstr("overlap"));
  r.signature.root = 1;
  EXPECT_EQ(said(r), "");
}

TEST(RequestCheck, RootsAreRanksOfTheJobInEverySet) {
  const std::vector<int> ranks{1, 3};
  Request r = request(CollectiveKind::Broadcast, {1});
  r.signature.process_set = 7;
  const RequestLimits limits{.members = 2, .ranks = ranks, .size = 4};
  r.signature.root = 3;
  EXPECT_EQ(check_request(r, limits).message(), "");
  r.signature.root = 0;
  EXPECT_EQ(
      check_request(r, limits).message(),
      "broadcast \"t\": root rank 0 is not in process set 7, whose ranks are 1, 3");
}

TEST(RequestCheck, JoinsAndChangesOfProcessSets) {
  const RequestLimits limits{.size = 4};
  Request r;
  r.name = "s";
  const auto said = [&](Signature signature) {
    r.signature = std::move(signature);
    return check_request(r, limits).message();
  };
  using enum CollectiveKind;
  EXPECT_EQ(said({.kind = AddProcessSet, .operand = {0, 3}}), "");
  const std::string add = "add_process_set: ";
  EXPECT_EQ(said({.kind = AddProcessSet}), add + "a process set needs one rank at least");
  EXPECT_EQ(
      said({.kind = AddProcessSet, .operand = {4}}),
      add + "rank 4 does not exist; ranks are 0 to 3");
  EXPECT_EQ(said({.kind = AddProcessSet, .operand = {2, 2}}), add + "rank 2 stands there twice");
  EXPECT_EQ(
      said({.kind = AddProcessSet, .operand = {2, 1}}), add + "its ranks [2, 1] do not ascend");
  EXPECT_EQ(
      said({.kind = AddProcessSet, .process_set = 1, .operand = {2}}),
      add + "process sets are agreed upon by all ranks, and not in set 1");
  const std::string remove = "remove_process_set: ";
  EXPECT_EQ(said({.kind = RemoveProcessSet, .operand = {2}}), "");
  EXPECT_EQ(
      said({.kind = RemoveProcessSet, .operand = {0}}),
      remove + "process set 0, all ranks, cannot be removed");
  EXPECT_EQ(said({.kind = RemoveProcessSet}), remove + "[] is the id of no process set");
  EXPECT_EQ(said({.kind = Join}), "join: it has no name");
  r.name.clear();
  EXPECT_EQ(said({.kind = Join, .process_set = 3}), "");
}

}  // namespace
}  // namespace farandole

// Adasum in whole jobs in one process, over every communicator.

#include "tests/support/adasum.h"

#include "tests/cluster/sets_support.h"

namespace farandole::sets {
namespace {

class AdasumOf : public Sets {};

// What a rank has of a tensor: of another direction on each rank and for each tensor.
std::vector<float> values_of(int rank, size_t tensor) {
  const std::vector<size_t> counts{5000, 1, 37, 12000};
  std::vector<float> values(counts.at(tensor));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = std::sin(static_cast<float>((i + tensor) * static_cast<size_t>(rank + 1)) + 1.0F);
  return values;
}
constexpr size_t kTensors = 4;

void expect_adasum(const std::vector<float>& got, size_t tensor, const std::vector<int>& ranks) {
  std::vector<std::vector<double>> all;
  for (const int rank : ranks) {
    const std::vector<float> values = values_of(rank, tensor);
    all.emplace_back(values.begin(), values.end());
  }
  const std::vector<double> want = testing::adasum(all);
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-4) << tensor << ", " << i;
}

// Several tensors at once, which are fused.
void combine(Session& session, int rank, uint32_t process_set, const std::vector<int>& ranks) {
  std::vector<std::vector<float>> values(kTensors);
  std::vector<Request> requests;
  for (size_t t = 0; t < kTensors; ++t) {
    values[t] = values_of(rank, t);
    requests.push_back(request_of(fmt::format("t{}", t), process_set, values[t]));
    requests.back().signature.reduce = ReduceOp::Adasum;
  }
  const Result<std::vector<TicketPtr>> tickets = session.submit(std::move(requests));
  ASSERT_TRUE(tickets) << tickets.status().message();
  for (size_t t = 0; t < kTensors; ++t) {
    ASSERT_TRUE(session.wait_until(*tickets.value()[t], soon()));
    ASSERT_EQ(tickets.value()[t]->status().message(), "");
    expect_adasum(values[t], t, ranks);
  }
}

TEST_P(AdasumOf, EachTensorByItself) {
  run([](Session& session, int rank) {
    for (int step = 0; step < 3; ++step) combine(session, rank, 0, {0, 1, 2, 3});
  });
}

TEST_P(AdasumOf, AProcessSet) {
  run([](Session& session, int rank) {
    if (rank == 1 || rank == 3)
      combine(session, rank, 1, {1, 3});
    const Result<int64_t> id = add(session, {0, 1, 3});
    ASSERT_TRUE(id) << id.status().message();
    if (rank != 2)
      combine(session, rank, static_cast<uint32_t>(id.value()), {0, 1, 3});
  });
}

// Among those that are left: another tree than that of all.
TEST_P(AdasumOf, TheRanksThatHaveNotJoined) {
  run([](Session& session, int rank) {
    const std::vector<std::vector<int>> left{{0, 1, 2, 3}, {0, 2, 3}, {0, 3}, {3}};
    for (const std::vector<int>& ranks : left)
      if (std::find(ranks.begin(), ranks.end(), rank) != ranks.end())
        combine(session, rank, 0, ranks);
    const Result<int64_t> last = join(session);
    ASSERT_TRUE(last) << last.status().message();
    EXPECT_EQ(last.value(), 3);
  });
}

// One that is left out of each of two tensors of a bucket, and not the same.
TEST_P(AdasumOf, TensorsThatDifferentRanksHaveLeftOut) {
  run([](Session& session, int rank) {
    std::vector<std::vector<float>> values(2);
    std::vector<TicketPtr> tickets;
    for (const size_t t : {size_t{0}, size_t{1}}) {
      values[t] = values_of(rank, t);
      if (rank == static_cast<int>(t) + 1)
        continue;
      Request request = request_of(fmt::format("t{}", t), 0, values[t]);
      request.signature.reduce = ReduceOp::Adasum;
      tickets.push_back(session.submit({std::move(request)}).value()[0]);
    }
    ASSERT_TRUE(join(session));
    for (const TicketPtr& ticket : tickets) {
      ASSERT_TRUE(session.wait_until(*ticket, soon()));
      EXPECT_EQ(ticket->status().message(), "");
    }
    if (rank != 1)
      expect_adasum(values[0], 0, {0, 2, 3});
    if (rank != 2)
      expect_adasum(values[1], 1, {0, 1, 3});
  });
}

TEST_P(AdasumOf, RanksThatDisagree) {
  run([](Session& session, int rank) {
    std::vector<float> values(10, 1.0F);
    EXPECT_EQ(
        allreduce(session, "a", 0, values, {rank == 2 ? ReduceOp::Sum : ReduceOp::Adasum})
            .message(),
        "allreduce \"a\": ranks disagree on reduce op: ranks 0-1 and 3 have Adasum, rank 2 has "
        "Sum; call it with one op on every rank");
    EXPECT_EQ(allreduce(session, "a", 0, values, {ReduceOp::Adasum, 2.0, 3.0}).message(), "");
    EXPECT_THAT(values, Each(6.0F));
  });
}

INSTANTIATE_TEST_SUITE_P(Everywhere, AdasumOf, kEverywhere, name_of_place);

}  // namespace
}  // namespace farandole::sets

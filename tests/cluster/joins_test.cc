// Ranks that have joined, in whole jobs in one process, over every communicator.

#include "tests/cluster/sets_support.h"

namespace farandole::sets {
namespace {

class Joins : public Sets {};

// Rank r has 2 + r steps.
TEST_P(Joins, RanksThatHaveJoinedChangeNothing) {
  run([](Session& session, int rank) {
    const int steps = 2 + rank;
    const int size = session.topology().size;
    for (int step = 0; step < steps; ++step) {
      const int first = std::max(0, step - 1);  // of those that take part
      const auto left = static_cast<float>(size - first);
      std::vector<float> values(5000, static_cast<float>(rank + 1));
      EXPECT_EQ(allreduce(session, "mean", 0, values, {ReduceOp::Average}).message(), "");
      EXPECT_THAT(values, Each(static_cast<float>(first + 1 + size) / 2));
      values.assign(3, static_cast<float>(rank + 1));
      EXPECT_EQ(allreduce(session, "least", 0, values, {ReduceOp::Min, 2.0}).message(), "");
      EXPECT_THAT(values, Each(2.0F * static_cast<float>(first + 1)));
      values.assign(3, -static_cast<float>(rank + 1));
      EXPECT_EQ(allreduce(session, "most", 0, values, {ReduceOp::Max, -1.0}).message(), "");
      EXPECT_THAT(values, Each(static_cast<float>(size)));
      values.assign(3, -2.0F);
      EXPECT_EQ(allreduce(session, "product", 0, values, {ReduceOp::Product}).message(), "");
      EXPECT_THAT(values, Each(std::pow(-2.0F, left)));
      EXPECT_EQ(barrier(session, 0).message(), "");
    }
    const Result<int64_t> last = join(session);
    ASSERT_TRUE(last) << last.status().message();
    EXPECT_EQ(last.value(), size - 1);
    std::vector<float> values(3, 1.0F);
    EXPECT_EQ(allreduce(session, "mean", 0, values).message(), "");
    EXPECT_THAT(values, Each(static_cast<float>(size)));
    // Each has had another number of unnamed barriers.
    EXPECT_EQ(barrier(session, 0).message(), "");
    EXPECT_EQ(add(session, {0, 1}).status().message(), "");
  });
}

TEST_P(Joins, WhoHasJoinedGathersAndReceivesNothing) {
  run([](Session& session, int rank) {
    if (rank != 1) {
      std::vector<float> values(static_cast<size_t>(rank) + 1, static_cast<float>(rank));
      Request r = request_of("g", 0, values);
      r.signature.kind = Allgather;
      r.out = nullptr;
      const TicketPtr ticket = session.submit({r}).value()[0];
      ASSERT_TRUE(session.wait_until(*ticket, soon()));
      ASSERT_TRUE(ticket->status().is_ok()) << ticket->status().message();
      const auto* got = static_cast<const float*>(ticket->outcome().data);
      EXPECT_THAT(
          std::vector<float>(got, got + ticket->outcome().shape.at(0)),
          ElementsAre(0, 2, 2, 2, 3, 3, 3, 3));
      r.name = "b";
      r.signature.kind = Broadcast;
      r.signature.root = 1;
      r.signature.shape = {1};
      EXPECT_EQ(
          end(session, session.submit({r})).message(),
          "broadcast \"b\": its root, rank 1, has joined and sends nothing");
      r.name = "s";
      r.signature = {.kind = Reducescatter, .reduce = ReduceOp::Average};
      values.assign(8, static_cast<float>(rank + 1));
      r.in = values.data();
      r.signature.shape = {8};
      const TicketPtr part = session.submit({r}).value()[0];
      ASSERT_TRUE(session.wait_until(*part, soon()));
      ASSERT_TRUE(part->status().is_ok()) << part->status().message();
      const auto* own = static_cast<const float*>(part->outcome().data);
      EXPECT_THAT(std::vector<float>(own, own + 2), Each(8.0F / 3));
    }
    const Result<int64_t> last = join(session);
    ASSERT_TRUE(last) << last.status().message();
  });
}

INSTANTIATE_TEST_SUITE_P(Everywhere, Joins, kEverywhere, name_of_place);

TEST(Join, WaitsForItself) {
  std::promise<void> tried;
  const std::shared_future<void> refused = tried.get_future().share();
  run_cluster(2, nullptr, [&](Session& session, int rank) {
    if (rank == 0) {
      Request request;
      request.signature.kind = CollectiveKind::Join;
      const TicketPtr ticket = session.submit({request}).value()[0];
      EXPECT_EQ(
          session.submit({request}).status().message(),
          "join: this rank has joined process set 0 already and waits for the others");
      std::vector<float> values(10, 1.0F);
      EXPECT_EQ(
          allreduce(session, "a", 0, values).message(),
          "allreduce \"a\": this rank has joined process set 0 and waits for the others; wait for "
          "the join first");
      tried.set_value();
      EXPECT_TRUE(session.wait_until(*ticket, soon()));
      EXPECT_EQ(ticket->outcome().value, 1);
      return;
    }
    std::vector<float> values(10, 2.0F);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(allreduce(session, "b", 0, values).message(), "");
    EXPECT_THAT(values, Each(2.0F));
    EXPECT_EQ(refused.wait_for(60s), std::future_status::ready);
    EXPECT_EQ(join(session).value(), 1);
  });
}

}  // namespace
}  // namespace farandole::sets

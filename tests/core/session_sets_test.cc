// A session's process sets and joins, where the coordinator says what the test wants.

#include <gmock/gmock.h>

#include <future>
#include <limits>

#include "core/base/format.h"
#include "tests/core/session_fixture.h"

namespace farandole::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Lt;

class SessionSetsTest : public SessionTest {
 protected:
  TicketPtr change(CollectiveKind kind, std::vector<int64_t> operand, uint32_t process_set = 0) {
    Request r;
    r.signature = {.kind = kind, .process_set = process_set, .operand = std::move(operand)};
    return submit(std::move(r));
  }
  TicketPtr join(uint32_t process_set = 0) { return change(CollectiveKind::Join, {}, process_set); }
  Status end(const TicketPtr& ticket) {
    EXPECT_TRUE(session_->wait_until(*ticket, soon()));
    return ticket->status();
  }
  // Ranks 0 and 2, as set 1.
  void add_one() {
    const TicketPtr added = change(CollectiveKind::AddProcessSet, {0, 2});
    agree({{.name = "process_set.noname.1", .extents = {1}}});
    ASSERT_EQ(end(added).message(), "");
    EXPECT_EQ(added->outcome().value, 1);
    EXPECT_THAT(session_->ranks_of(1).value(), ElementsAre(0, 2));
  }
  static Request sum_in(uint32_t process_set, std::string name, std::vector<float>& values) {
    Request r = sum(std::move(name), values);
    r.signature.process_set = process_set;
    return r;
  }
  static StandIn reduction(ReduceOp op, DType dtype = DType::Float32) {
    return {.signature = {.reduce = op, .dtype = dtype, .shape = {4}}, .contributors = 2};
  }
};

TEST_F(SessionSetsTest, ASetConnectsItsRanksWhenItIsUsed) {
  std::vector<int> connected;
  connect_ = [&](const GroupSpec& spec) {
    for (const Member& member : spec.members) connected.push_back(member.rank);
    EXPECT_EQ(spec.tag, "g1.e0");
    EXPECT_EQ(spec.local_size, 3) << "of the host, whoever is in the set";
    return Status::ok();
  };
  start();
  add_one();
  EXPECT_TRUE(connected.empty());
  std::vector<float> values{1};
  const TicketPtr ticket = submit(sum_in(1, "x", values));
  agree({{.name = "x", .process_set = 1}});
  EXPECT_EQ(end(ticket).message(), "");
  EXPECT_THAT(connected, ElementsAre(0, 2));
}

TEST_F(SessionSetsTest, WhatIsUnderWayInARemovedSetIsCarriedOutAndWhatWaitsEnds) {
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  run_ = [&](const CollectiveOp& op) {
    released.wait();
    return double_all(op);
  };
  start();
  add_one();
  std::vector<float> a{1};
  std::vector<float> b{1};
  const TicketPtr agreed = submit(sum_in(1, "agreed", a));
  const TicketPtr waiting = submit(sum_in(1, "waiting", b));
  const TicketPtr removed = change(CollectiveKind::RemoveProcessSet, {1});
  agree({{.name = "agreed", .process_set = 1}, {.name = "process_set.noname.2"}});
  // This rank announced it when the others had removed the set already.
  ASSERT_TRUE(waiting->wait_until(soon()));  // without helping the lane, which is held up
  EXPECT_EQ(waiting->status().message(), "allreduce \"waiting\": process set 1 was removed");
  EXPECT_FALSE(removed->settled());
  EXPECT_EQ(
      session_->submit({sum_in(1, "later", b)}).status().message(),
      "allreduce \"later\": process set 1 was removed");
  release.set_value();
  EXPECT_EQ(end(agreed).message(), "");
  EXPECT_THAT(a, ElementsAre(2));
  EXPECT_EQ(end(removed).message(), "");
  agree({}, {{"waiting", 1, {Code::InvalidArgument, "process set 1 was removed"}}});
  EXPECT_TRUE(session_->shutdown().is_ok());
}

TEST_F(SessionSetsTest, ARankThatHasJoinedStandsInWithWhatChangesNothing) {
  std::vector<float> put_in;
  std::vector<size_t> contributors;
  run_ = [&](const CollectiveOp& op) {
    put_in.push_back(*static_cast<const float*>(op.segments[0].in));
    contributors.push_back(op.contributors);
    return double_all(op);
  };
  start();
  const TicketPtr joined = join();
  const auto stands_in = [](std::string name, ReduceOp op) {
    return ReadyOp{.name = std::move(name), .stand_in = reduction(op)};
  };
  agree(
      {stands_in("a", ReduceOp::Min),
       stands_in("b", ReduceOp::Max),
       stands_in("c", ReduceOp::Product),
       stands_in("d", ReduceOp::Sum)});
  agree({{.extents = {2}}});
  EXPECT_EQ(end(joined).message(), "");
  EXPECT_EQ(joined->outcome().value, 2);
  const float most = std::numeric_limits<float>::infinity();
  EXPECT_THAT(put_in, ElementsAre(most, -most, 1.0F, 0.0F));
  EXPECT_THAT(contributors, Each(2U));
  const Counters::Values counters = session_->counters();
  EXPECT_EQ(counters.submitted, 1U) << "what it stands in for is not its own";
  EXPECT_EQ(counters.settled_ok, 1U);
  EXPECT_EQ(counters.buckets, 4U);
}

TEST_F(SessionSetsTest, WhoHasJoinedSubmitsNothingUntilThatHasEnded) {
  start();
  std::vector<float> values{1};
  const TicketPtr joined = join();
  const TicketPtr refused = submit(sum("x", values));
  EXPECT_EQ(
      end(refused).message(),
      "allreduce \"x\": this rank has joined process set 0 and waits for the others; wait for the "
      "join first");
  agree({}, {{"", 0, {Code::PeerLost, "join: rank 1 left the job"}}});
  EXPECT_EQ(end(joined).code(), Code::PeerLost);
  const TicketPtr accepted = submit(sum("x", values));
  agree({{.name = "x"}});
  EXPECT_EQ(end(accepted).message(), "");
}

TEST_F(SessionSetsTest, AJoinThatIsUnderWayEndsWithItsSet) {
  start();
  add_one();
  const TicketPtr joined = join(1);
  const TicketPtr removed = change(CollectiveKind::RemoveProcessSet, {1});
  agree({{.name = "process_set.noname.2"}});
  EXPECT_EQ(end(joined).message(), "join: process set 1 was removed");
  EXPECT_EQ(end(removed).message(), "");
}

// Other ranks may know it already: this one hears of it in a round after that which adds it.
TEST_F(SessionSetsTest, WhatIsAgreedForASetThatIsNotThereYetIsNoAffairOfThisRank) {
  int runs = 0;
  run_ = [&](const CollectiveOp& op) {
    ++runs;
    return double_all(op);
  };
  start();
  std::vector<float> values{1};
  EXPECT_EQ(
      session_->submit({sum_in(1, "x", values)}).status().message(),
      "allreduce \"x\": there is no process set 1");
  const TicketPtr added = change(CollectiveKind::AddProcessSet, {0, 2});
  agree(
      {{.name = "x", .process_set = 1},
       {.name = "y", .process_set = 1, .stand_in = reduction(ReduceOp::Sum)},
       {.name = "process_set.noname.1", .extents = {1}},
       {.name = "x", .process_set = 1}},
      {{"x", 1, {Code::PeerLost, "rank 2 left the job"}}});
  EXPECT_EQ(end(added).message(), "");
  EXPECT_EQ(runs, 0);
  const TicketPtr ticket = submit(sum_in(1, "x", values));
  agree({{.name = "x", .process_set = 1}});
  EXPECT_EQ(end(ticket).message(), "");
  EXPECT_THAT(values, ElementsAre(2));
  EXPECT_EQ(runs, 1);
}

// Rounds are held back for what rank 0 still has to do in set 0 alone.
TEST_F(SessionSetsTest, TheCoordinatorHearsOfNoBacklogInAnotherSet) {
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  run_ = [&](const CollectiveOp& op) {
    released.wait();
    return double_all(op);
  };
  start();
  add_one();
  std::vector<std::vector<float>> values(5, {1});
  std::vector<TicketPtr> tickets;
  const auto run_one = [&](uint32_t process_set) {
    const std::string name = std::to_string(tickets.size());
    tickets.push_back(submit(sum_in(process_set, name, values[tickets.size()])));
    control_->wait_announced(tickets.size() + 1);
    agree({{.name = name, .process_set = process_set}});
  };
  for (const uint32_t process_set : {1, 1, 1, 0, 0}) run_one(process_set);
  control_->wait_backlogs(1);
  release.set_value();
  for (const TicketPtr& ticket : tickets) EXPECT_EQ(end(ticket).message(), "");
  EXPECT_THAT(control_->wait_backlogs(2), ElementsAre(2, Lt(2U))) << "of set 0 alone";
}

// What no honest coordinator says.
TEST_F(SessionSetsTest, ANumberThatIsGivenTwiceIsRefused) {
  start();
  add_one();
  size_t announced = 1;
  for (const int64_t id : {0, 1, -1}) {
    const TicketPtr added = change(CollectiveKind::AddProcessSet, {1, 2});
    agree({{.name = control_->wait_announced(++announced).back().name, .extents = {id}}});
    EXPECT_EQ(
        end(added).message(),
        fmt::format("rank 0 broke the protocol: it gave a new process set the number {}", id));
    EXPECT_THAT(session_->process_sets(), ElementsAre(0, 1));
  }
}

TEST_F(SessionSetsTest, NobodyStandsInForWhatHasNoMeaning) {
  const StandIn wrong[] = {
      reduction(ReduceOp::Max, DType::Complex64),
      {.signature = {.kind = CollectiveKind::Allgather}, .contributors = 1},
      {.signature = {.kind = CollectiveKind::Broadcast, .root = 7}, .contributors = 1}};
  for (const StandIn& stand_in : wrong) {
    start();
    const TicketPtr joined = join();
    agree({{.name = "x", .stand_in = stand_in}});
    const auto reports = control_->wait_reports(1);
    ASSERT_EQ(reports.size(), 1U);
    EXPECT_EQ(reports[0].rank, 0);
    EXPECT_THAT(reports[0].cause, ::testing::HasSubstr("broke the protocol"));
    session_.reset();
  }
}

}  // namespace
}  // namespace farandole::testing

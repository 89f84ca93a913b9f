#include "core/session.h"

#include <gmock/gmock.h>

#include <future>

#include "tests/core/session_fixture.h"

namespace farandole::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(SessionTest, ATensorWalksFromSubmissionToItsTicket) {
  start();
  std::vector<float> values{1, 2, 3};
  const TicketPtr ticket = submit(sum("x", values));
  ASSERT_EQ(control_->wait_announced(1).at(0).name, "x");
  EXPECT_FALSE(ticket->settled());
  agree({{.name = "x"}});
  ASSERT_TRUE(session_->wait_until(*ticket, soon()));
  EXPECT_TRUE(ticket->status().is_ok());
  EXPECT_THAT(values, ElementsAre(2, 4, 6));
  EXPECT_THAT(ticket->outcome().shape, ElementsAre(3));
  EXPECT_EQ(session_->counters().settled_ok, 1U);
}

TEST_F(SessionTest, AgreedTogetherTravelTogetherPackedOrNot) {
  for (const bool takes_segments : {true, false}) {
    size_t segments = 0;
    run_ = [&](const CollectiveOp& op) {
      segments = op.segments.size();
      return double_all(op);
    };
    start(takes_segments);
    std::vector<float> a{1};
    std::vector<float> b{2, 3};
    const TicketPtr first = submit(sum("a", a));
    const TicketPtr second = submit(sum("b", b));
    control_->wait_announced(2);
    agree({{.name = "a"}, {.name = "b"}});
    ASSERT_TRUE(session_->wait_until(*second, soon()));
    ASSERT_TRUE(session_->wait_until(*first, soon()));
    EXPECT_EQ(segments, takes_segments ? 2U : 1U);
    EXPECT_THAT(a, ElementsAre(2));
    EXPECT_THAT(b, ElementsAre(4, 6));
    session_.reset();
  }
}

// The other ranks rely on this one until it has said so.
TEST_F(SessionTest, SaysThatItHasFinishedAfterTheLastAgreedTensor) {
  std::promise<void> gate;
  run_ = [&](const CollectiveOp& op) {
    gate.get_future().wait();
    return double_all(op);
  };
  start();
  std::vector<float> values{1};
  const TicketPtr ticket = submit(sum("x", values));
  control_->wait_announced(1);
  agree({{.name = "x"}});
  control_->sink().on_failure({.rank = 0, .cause = "shutdown", .left = true});
  EXPECT_EQ(control_->finished_told, 0);
  gate.set_value();
  ASSERT_TRUE(session_->wait_until(*ticket, soon()));
  EXPECT_TRUE(session_->shutdown().is_ok());
  EXPECT_EQ(control_->finished_told, 1);
}

TEST_F(SessionTest, WhatCouldNotBeCarriedOutIsNotFinished) {
  run_ = [](const CollectiveOp&) { return Status(Code::Timeout, "moved no byte"); };
  start();
  std::vector<float> values{1};
  const TicketPtr ticket = submit(sum("x", values));
  control_->wait_announced(1);
  agree({{.name = "x"}});
  ASSERT_EQ(control_->wait_reports(1).size(), 1U);
  EXPECT_TRUE(session_->shutdown().is_ok());
  EXPECT_EQ(control_->finished_told, 0);
  EXPECT_TRUE(ticket->settled());
}

TEST_F(SessionTest, ResultsAreAllocatedWhereTheCallerGaveNoMemory) {
  start();
  std::vector<float> values{1, 2};
  Request request = sum("x", values);
  request.out = nullptr;
  const TicketPtr ticket = submit(std::move(request));
  control_->wait_announced(1);
  agree({{.name = "x"}});
  ASSERT_TRUE(session_->wait_until(*ticket, soon()));
  EXPECT_EQ(static_cast<float*>(ticket->outcome().data)[1], 4.0F);
  EXPECT_THAT(values, ElementsAre(1, 2));
}

TEST_F(SessionTest, ARejectionTouchesOnlyItsTensor) {
  start();
  std::vector<float> a{1};
  std::vector<float> b{1};
  const TicketPtr bad = submit(sum("bad", a));
  const TicketPtr good = submit(sum("good", b));
  control_->wait_announced(2);
  agree({{.name = "good"}}, {{.name = "bad", .why = {Code::Mismatch, "ranks disagree"}}});
  ASSERT_TRUE(session_->wait_until(*bad, soon()));
  ASSERT_TRUE(session_->wait_until(*good, soon()));
  EXPECT_EQ(bad->status(), Status(Code::Mismatch, "ranks disagree"));
  EXPECT_TRUE(good->status().is_ok());
  EXPECT_TRUE(session_->health().is_ok());
}

TEST_F(SessionTest, ANameInFlightIsRefusedAndFreeAgainAfterwards) {
  start();
  std::vector<float> a{1};
  std::vector<float> b{1};
  const TicketPtr ticket = submit(sum("x", a));
  EXPECT_EQ(session_->submit({sum("x", b)}).status().code(), Code::InvalidArgument);
  control_->wait_announced(1);
  agree({{.name = "x"}});
  ASSERT_TRUE(session_->wait_until(*ticket, soon()));
  EXPECT_TRUE(session_->submit({sum("x", b)}));
}

TEST_F(SessionTest, ALostRankEndsWhatRunsWhatWaitsAndWhatComes) {
  std::promise<void> running;
  run_ = [&](const CollectiveOp&) {
    running.set_value();
    return communicator_.load()->wait_for_abort();
  };
  start();
  std::vector<float> a{1};
  std::vector<float> b{1};
  const TicketPtr moving = submit(sum("moving", a));
  const TicketPtr waiting = submit(sum("waiting", b));
  control_->wait_announced(2);
  agree({{.name = "moving"}});
  ASSERT_EQ(running.get_future().wait_for(20s), std::future_status::ready);
  control_->sink().on_failure({.rank = 2, .host = "h2", .cause = "connection closed"});
  ASSERT_TRUE(session_->wait_until(*moving, soon()));
  ASSERT_TRUE(session_->wait_until(*waiting, soon()));
  EXPECT_EQ(
      moving->status().message(),
      "allreduce \"moving\": rank 2 (host h2) was lost: connection closed");
  EXPECT_EQ(moving->status().culprit(), 2);
  EXPECT_EQ(
      waiting->status().message(),
      "allreduce \"waiting\": rank 2 (host h2) was lost: connection closed");
  const Status later = session_->submit({sum("later", b)}).status();
  EXPECT_EQ(later.code(), Code::PeerLost);
  EXPECT_EQ(later.message(), "allreduce \"later\": rank 2 (host h2) was lost: connection closed");
}

TEST_F(SessionTest, ARankThatWasGivenUpSaysSoOfItself) {
  start();
  std::vector<float> a{1};
  const TicketPtr ticket = submit(sum("x", a));
  control_->wait_announced(1);
  control_->sink().on_failure({.rank = 0, .host = "h0", .cause = "no heartbeat for 3.1 s"});
  ASSERT_TRUE(session_->wait_until(*ticket, soon()));
  EXPECT_EQ(
      ticket->status().message(),
      "allreduce \"x\": rank 0 (host h0) is this process and was given up by the others: "
      "no heartbeat for 3.1 s");
}

TEST_F(SessionTest, ABrokenCollectiveWaitsForTheVerdict) {
  run_ = [](const CollectiveOp&) { return Status(Code::PeerLost, "connection reset").blame(1); };
  start();
  std::vector<float> a{1};
  const TicketPtr ticket = submit(sum("x", a));
  control_->wait_announced(1);
  agree({{.name = "x"}});
  ASSERT_EQ(control_->wait_reports(1).at(0).rank, 1);
  EXPECT_FALSE(ticket->settled());
  control_->sink().on_failure({.rank = 2, .host = "h2", .cause = "connection closed"});
  ASSERT_TRUE(session_->wait_until(*ticket, soon()));
  EXPECT_EQ(ticket->status().culprit(), 2);
}

TEST_F(SessionTest, WhatThisRankCouldNotGetFromItsSystemIsReportedAsItsOwn) {
  run_ = [](const CollectiveOp&) { return Status(Code::System, "no memory"); };
  start();
  std::vector<float> a{1};
  const TicketPtr ticket = submit(sum("x", a));
  control_->wait_announced(1);
  agree({{.name = "x"}});
  PeerFailure reported = control_->wait_reports(1).at(0);
  EXPECT_EQ(reported.rank, 0);
  EXPECT_EQ(reported.code, Code::System);
  control_->sink().on_failure(std::move(reported));
  ASSERT_TRUE(session_->wait_until(*ticket, soon()));
  EXPECT_EQ(ticket->status().message(), "allreduce \"x\": no memory");
}

TEST_F(SessionTest, ARankThatLeftHarmsOnlyWhatNeedsIt) {
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  run_ = [&](const CollectiveOp& op) {
    released.wait();
    return double_all(op);
  };
  start();
  std::vector<float> a{1};
  std::vector<float> b{1};
  const TicketPtr agreed = submit(sum("agreed", a));
  const TicketPtr waiting = submit(sum("waiting", b));
  control_->wait_announced(2);
  agree({{.name = "agreed"}});
  control_->sink().on_failure({.rank = 1, .host = "h1", .cause = "shutdown", .left = true});
  ASSERT_TRUE(waiting->wait_until(soon()));
  EXPECT_EQ(
      waiting->status().message(),
      "allreduce \"waiting\": rank 1 (host h1) left the job: shutdown");
  EXPECT_EQ(session_->submit({sum("later", b)}).status().code(), Code::PeerLost);
  release.set_value();
  ASSERT_TRUE(session_->wait_until(*agreed, soon()));
  EXPECT_TRUE(agreed->status().is_ok());
}

TEST_F(SessionTest, TheCoordinatorHearsOfALongBacklogAndOfItsEnd) {
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  run_ = [&](const CollectiveOp& op) {
    released.wait();
    return double_all(op);
  };
  start();
  std::vector<std::vector<float>> values(3, {1});
  for (int i = 0; i < 3; ++i) submit(sum(std::to_string(i), values[static_cast<size_t>(i)]));
  control_->wait_announced(3);
  for (int i = 0; i < 3; ++i) agree({{.name = std::to_string(i)}});
  EXPECT_THAT(control_->wait_backlogs(2), ElementsAre(2, 3));
  release.set_value();
  EXPECT_LT(control_->wait_backlogs(3).back(), 2U);
  EXPECT_TRUE(session_->shutdown());
}

TEST_F(SessionTest, MemoryOfADeviceThatIsNotThereIsRefused) {
  start();
  std::vector<float> a{1};
  Request request = sum("x", a);
  request.signature.device = {DeviceType::Cuda, 0};
  EXPECT_EQ(
      session_->submit({request}).status().message(),
      "allreduce \"x\": nothing here communicates memory of cuda:0; move the tensor to the CPU");
}

TEST_F(SessionTest, AutomaticNamesAdvanceEvenWhenACallFails) {
  start();
  std::vector<float> a{1};
  Request bad = sum("", a);
  bad.signature.shape = {-1};
  EXPECT_FALSE(session_->submit({bad}));
  submit(sum("", a));
  EXPECT_EQ(control_->wait_announced(1).at(0).name, "allreduce.noname.2");
}

}  // namespace
}  // namespace farandole::testing

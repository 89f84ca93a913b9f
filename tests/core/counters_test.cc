// What a session counts: exact for whoever has seen a ticket settle, and in order for everybody.

#include "core/counters.h"

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <thread>

#include "tests/core/session_fixture.h"

namespace farandole::testing {
namespace {

using ::testing::HasSubstr;

class CountersTest : public SessionTest {
 protected:
  void finish(const TicketPtr& ticket) { ASSERT_TRUE(session_->wait_until(*ticket, soon())); }
};

TEST_F(CountersTest, EveryTensorIsCountedAtEveryStep) {
  start();
  std::vector<float> a{1};
  std::vector<float> b{2, 3};
  std::vector<float> c{4};
  const TicketPtr first = submit(sum("a", a));
  const TicketPtr second = submit(sum("b", b));
  const TicketPtr bad = submit(sum("bad", c));
  control_->wait_announced(3);
  EXPECT_EQ(session_->counters().submitted, 3U);
  EXPECT_EQ(session_->counters().agreed, 0U);
  agree({{.name = "a"}, {.name = "b"}}, {{.name = "bad", .why = {Code::Mismatch, "disagree"}}});
  for (const TicketPtr& ticket : {first, second, bad}) finish(ticket);

  const Counters::Values values = session_->counters();
  EXPECT_EQ(values.submitted, 3U);
  EXPECT_EQ(values.agreed, 2U);
  EXPECT_EQ(values.rejected, 1U);
  EXPECT_EQ(values.settled_ok, 2U);
  EXPECT_EQ(values.settled_failed, 1U);
  EXPECT_EQ(values.buckets, 1U) << "agreed together, they travel together";
  EXPECT_EQ(values.bytes, 12U);
}

TEST_F(CountersTest, ABarrierMovesNoBytes) {
  start();
  Request barrier;
  barrier.name = "all";
  barrier.signature.kind = CollectiveKind::Barrier;
  const TicketPtr ticket = submit(std::move(barrier));
  agree({{.name = "all"}});
  finish(ticket);
  EXPECT_EQ(session_->counters().buckets, 1U);
  EXPECT_EQ(session_->counters().bytes, 0U);
}

TEST_F(CountersTest, WhatIsRefusedAtOnceIsNotCounted) {
  start();
  std::vector<float> a{1};
  std::vector<float> b{1};
  submit(sum("x", a));
  EXPECT_FALSE(session_->submit({sum("x", b)}));
  EXPECT_EQ(session_->counters().submitted, 1U);
}

TEST_F(CountersTest, BusyIsTheTimeWithinBuckets) {
  Duration inside{0};
  run_ = [&](const CollectiveOp& op) {
    const TimePoint begin = steady_now();
    const Status status = double_all(op);
    inside += steady_now() - begin;
    return status;
  };
  start();
  std::vector<float> values(1000, 1.0F);
  const TimePoint begin = steady_now();
  for (const char* name : {"a", "b", "c"}) {
    const TicketPtr ticket = submit(sum(name, values));
    agree({{.name = name}});
    finish(ticket);
  }
  const Duration outside = steady_now() - begin;
  const auto busy = static_cast<int64_t>(session_->counters().busy_nanoseconds);
  EXPECT_GE(busy, inside.count());
  EXPECT_LE(busy, outside.count());
  EXPECT_EQ(session_->counters().buckets, 3U);
}

TEST_F(CountersTest, ABucketThatFailsMovesNoBytes) {
  run_ = [](const CollectiveOp&) { return Status(Code::Timeout, "moved no byte"); };
  start();
  std::vector<float> a{1};
  const TicketPtr ticket = submit(sum("x", a));
  control_->wait_announced(1);
  agree({{.name = "x"}});
  ASSERT_EQ(control_->wait_reports(1).size(), 1U);
  control_->sink().on_failure({.rank = 2, .host = "h", .cause = "died"});
  finish(ticket);
  const Counters::Values values = session_->counters();
  EXPECT_EQ(values.agreed, 1U);
  EXPECT_EQ(values.buckets, 1U);
  EXPECT_EQ(values.bytes, 0U);
  EXPECT_EQ(values.settled_failed, 1U);
}

// Whether the agreement or the news of its departure ends a tensor is a matter of chance.
TEST_F(CountersTest, ATensorThatADepartedRankEndedIsNotRejected) {
  start();
  std::vector<float> a{1};
  const TicketPtr ticket = submit(sum("x", a));
  control_->wait_announced(1);
  agree({}, {{.name = "x", .why = {Code::PeerLost, "rank 2 (host h) left the job"}}});
  finish(ticket);
  EXPECT_EQ(session_->counters().rejected, 0U);
  EXPECT_EQ(session_->counters().settled_failed, 1U);
}

TEST_F(CountersTest, TheyStayReadableAfterAFailureAndAfterShutdown) {
  start();
  std::vector<float> a{1};
  std::vector<float> b{1};
  const TicketPtr ticket = submit(sum("x", a));
  control_->wait_announced(1);
  control_->sink().on_failure({.rank = 2, .host = "h", .cause = "died"});
  finish(ticket);
  EXPECT_EQ(session_->counters().settled_failed, 1U);
  EXPECT_FALSE(session_->submit({sum("y", b)})) << "the job has failed";
  EXPECT_TRUE(session_->shutdown());
  EXPECT_EQ(session_->counters().submitted, 1U);
  EXPECT_EQ(session_->counters().settled_failed, 1U);
}

// Shuts the session down from another thread as soon as a tensor is submitted, and before the
// engine can hear of it.
class ShutsDown final : public Observer {
 public:
  void on(const Event& event) noexcept override {
    if (event.kind == EventKind::Submitted)
      std::thread([this] { EXPECT_TRUE((*session)->shutdown()); }).join();
  }
  std::unique_ptr<Session>* session = nullptr;
};

TEST_F(CountersTest, ATensorThatShutdownOvertakesSettlesAndIsCounted) {
  const auto observer = std::make_shared<ShutsDown>();
  observer->session = &session_;
  observers_.push_back(observer);
  start();
  std::vector<float> a{1};
  const TicketPtr ticket = submit(sum("x", a));
  ASSERT_TRUE(ticket->settled());
  EXPECT_EQ(ticket->status().code(), Code::Aborted);
  EXPECT_THAT(
      ticket->status().message(),
      HasSubstr("allreduce \"x\": the session was shut down while this was submitted"));
  EXPECT_EQ(session_->counters().submitted, 1U);
  EXPECT_EQ(session_->counters().settled_failed, 1U);
}

// Takes tensors through their steps, each step in sight of the next alone.
void walk(Counters& counters, uint64_t tensors) {
  for (uint64_t i = 0; i < tensors; ++i) {
    counters.on({.kind = EventKind::Submitted});
    if (i % 4 == 3) {
      counters.on({.kind = EventKind::Rejected, .code = Code::Mismatch});
      counters.on({.kind = EventKind::Settled, .code = Code::Mismatch});
      continue;
    }
    counters.on({.kind = EventKind::Agreed});
    counters.on({.kind = EventKind::BucketEnd, .bytes = 8, .duration = Duration(3)});
    counters.on({.kind = EventKind::Settled});
  }
}

TEST(Counters, EveryReadingFollowsFromWhatCameBefore) {
  constexpr uint64_t kTensors = 20000;
  Counters counters;
  std::vector<std::thread> writers;
  for (int i = 0; i < 2; ++i) writers.emplace_back([&] { walk(counters, kTensors); });
  Counters::Values last;
  for (int i = 0; i < 20000; ++i) {
    const Counters::Values now = counters.read();
    EXPECT_LE(now.settled_ok, now.buckets);
    EXPECT_LE(now.bytes, 8 * now.buckets);
    EXPECT_LE(now.busy_nanoseconds, 3 * now.buckets);
    EXPECT_LE(now.buckets, now.agreed);
    EXPECT_LE(now.agreed + now.rejected, now.submitted);
    EXPECT_LE(now.settled_ok + now.settled_failed, now.submitted);
    EXPECT_GE(now.submitted, last.submitted);
    EXPECT_GE(now.settled_ok, last.settled_ok);
    EXPECT_GE(now.bytes, last.bytes);
    last = now;
  }
  for (std::thread& writer : writers) writer.join();
  const Counters::Values all = counters.read();
  EXPECT_EQ(all.submitted, 2 * kTensors);
  EXPECT_EQ(all.agreed, 2 * kTensors * 3 / 4);
  EXPECT_EQ(all.rejected, 2 * kTensors / 4);
  EXPECT_EQ(all.settled_ok, all.agreed);
  EXPECT_EQ(all.settled_failed, all.rejected);
  EXPECT_EQ(all.buckets, all.agreed);
  EXPECT_EQ(all.bytes, 8 * all.agreed);
  EXPECT_EQ(all.busy_nanoseconds, 3 * all.agreed);
}

}  // namespace
}  // namespace farandole::testing

// Monitors of what nobody is told: bounds, the store, the operation that fails. Each can object.

#include <gtest/gtest.h>

#include "tests/sim/monitor_bounds.h"
#include "tests/sim/monitor_inputs.h"
#include "tests/sim/monitor_operation.h"
#include "tests/sim/monitor_stalls.h"
#include "tests/sim/monitor_store.h"

namespace farandole::sim {
namespace {

using control::StoreReply;
using control::StoreRequest;
using Kind = control::StoreRequest::Kind;

Plan tight_plan(int size) {
  Plan plan;
  plan.size = size;
  plan.cache_capacity = 2;
  plan.max_pending = 2;
  plan.store_bytes = 4;
  plan.process_sets[1] = {0, 1};
  return plan;
}

class BoundsMonitorTest : public testing::Test {
 protected:
  bool objects(const Monitor::Tables& tables) {
    Findings findings;
    std::swap(findings, findings_);
    monitor_.on_tables(0, tables);
    return !findings_.empty();
  }
  Plan plan_ = tight_plan(2);
  Findings findings_;
  BoundsMonitor monitor_{plan_, findings_};
};

class StallMonitorTest : public testing::Test {
 protected:
  StallMonitorTest() {
    plan_.stall_report = std::chrono::seconds(1);
    monitor_.on_submitted(0, {0, "a"}, {}, kNow);
  }
  bool objects(const control::Stall& stall, std::vector<control::Testimony> told = {}) {
    Findings findings;
    std::swap(findings, findings_);
    monitor_.on_stalls({{stall}, 0, std::move(told)});
    return !findings_.empty();
  }
  Plan plan_ = tight_plan(2);
  Findings findings_;
  StallMonitor monitor_{plan_, findings_};
  control::Stall stall_{
      .name = "a", .age = std::chrono::seconds(1), .submitted = {0}, .missing = {1}};
};

TEST_F(StallMonitorTest, SeesWhoIsSaidToHaveSubmittedAndHasNot) {
  EXPECT_FALSE(objects(stall_));
  std::swap(stall_.submitted, stall_.missing);
  EXPECT_TRUE(objects(stall_));
}

TEST_F(StallMonitorTest, SeesWhoIsSaidToWaitForWhatItHasHadBeforeTheLastReport) {
  monitor_.on_agreement(0, {.ready = {{.name = "a"}}});
  EXPECT_FALSE(objects(stall_));  // as it was before
  EXPECT_TRUE(objects(stall_));
  monitor_.on_submitted(0, {0, "a"}, {}, kNow);
  EXPECT_FALSE(objects(stall_));
  monitor_.on_agreement(0, {.rejected = {{.name = "a"}}});
  EXPECT_FALSE(objects(stall_));
  EXPECT_TRUE(objects(stall_));
}

TEST_F(StallMonitorTest, SeesWaitsThatAreNone) {
  stall_.age -= Duration(1);
  EXPECT_TRUE(objects(stall_));
  stall_.age += Duration(1);
  stall_.joined = {0};
  EXPECT_TRUE(objects(stall_));
  stall_.joined = stall_.missing = {};
  EXPECT_TRUE(objects(stall_));
}

TEST_F(StallMonitorTest, SeesWhoSpeaksForAnother) {
  EXPECT_FALSE(objects(stall_, {{1, "rank 1 is here"}}));
  EXPECT_FALSE(objects(stall_, {{1, "does not answer"}}));
  EXPECT_TRUE(objects(stall_, {{1, "rank 0 is here"}}));
}

// Of three ranks, 0 and 2 have submitted "a".
class WaitEndsTest : public testing::Test {
 protected:
  // Where `hearer` hears of it so much later.
  bool objects(const std::string& who, int culprit, int hearer = 0) {
    Findings findings;
    StallMonitor monitor(plan_, findings);
    for (const int rank : {0, 2}) monitor.on_submitted(rank, {0, "a"}, {}, kNow);
    monitor.on_failure(hearer, failure(who, culprit), kNow + after_);
    return !findings.empty();
  }
  static PeerFailure failure(const std::string& who, int culprit) {
    return {
        .rank = culprit,
        .cause = "allreduce \"a\" has waited for 1 s: " + who +
                 " (FARANDOLE_STALL_SHUTDOWN_TIME; raise it, or set 0, where ranks may be as late)",
        .code = Code::Timeout};
  }
  WaitEndsTest() { plan_.stall_abort = std::chrono::milliseconds(500); }
  Plan plan_ = tight_plan(3);
  Duration after_ = std::chrono::milliseconds(600);
  const std::string right_ = "ranks 0 and 2 have submitted it, rank 1 has not";
};

TEST_F(WaitEndsTest, ContentWithOneThatWasOne) {
  for (const int hearer : {0, 1, 2}) EXPECT_FALSE(objects(right_, 1, hearer));
}

TEST_F(WaitEndsTest, SeesWhoIsNamedAndIsNotMeant) {
  EXPECT_TRUE(objects(right_, -1));
  EXPECT_TRUE(objects(right_, 0));
  EXPECT_TRUE(objects("rank 0 has submitted it, ranks 1-2 have not", 1));
  EXPECT_TRUE(objects("rank 2 has submitted it, rank 1 has not", 1));
  EXPECT_TRUE(objects("ranks 0-1 have submitted it, rank 2 has not", 2));
  EXPECT_TRUE(objects("ranks 0 and 2 have submitted it, rank 1 has joined", 1));
}

TEST_F(WaitEndsTest, TakesTheNumberOfThoseThatAreNotNamedForNoRank) {
  EXPECT_FALSE(objects("ranks 0 and 1 more have submitted it, rank 1 has not", 1));
  EXPECT_TRUE(objects("ranks 1 and 1 more have submitted it, rank 1 has not", 1));
}

TEST_F(WaitEndsTest, SeesOneThatHasNotLasted) {
  after_ -= Duration(1);
  EXPECT_TRUE(objects(right_, 1));
  after_ += Duration(1);
  plan_.stall_abort = Duration(0);
  EXPECT_TRUE(objects(right_, 1));
}

TEST_F(WaitEndsTest, SeesThatWhoIsMissedHadSubmitted) {
  after_ = std::chrono::seconds(60);
  EXPECT_TRUE(objects("rank 0 has submitted it, ranks 1-2 have not", -1, 2));
  EXPECT_FALSE(objects("rank 0 has submitted it, ranks 1-2 have not", -1, 0));
}

TEST_F(WaitEndsTest, SeesOtherWords) {
  EXPECT_TRUE(objects("ranks 0 and 2 have submitted it", -1));
  EXPECT_TRUE(objects("ranks 0 and 2 wait", -1));
  Findings findings;
  StallMonitor monitor(plan_, findings);
  for (const int rank : {0, 2}) monitor.on_submitted(rank, {0, "a"}, {}, kNow);
  monitor.on_failure(0, failure(right_, 1), kNow + after_);
  EXPECT_TRUE(findings.empty());
  PeerFailure other = failure(right_, 1);
  other.cause.insert(0, "sparse ");
  monitor.on_failure(2, other, kNow + after_);
  EXPECT_FALSE(findings.empty());
}

TEST_F(BoundsMonitorTest, SeesTooManyIds) {
  EXPECT_FALSE(objects({.cached = 2}));
  EXPECT_TRUE(objects({.cached = 3}));
}

TEST_F(BoundsMonitorTest, SeesTensorsThatNobodyWaitsFor) {
  EXPECT_TRUE(objects({.pending = 1}));
  for (const int rank : {0, 1}) monitor_.on_submitted(rank, {0, "a"}, {}, kNow);
  EXPECT_FALSE(objects({.pending = 1}));
  EXPECT_TRUE(objects({.pending = 2}));
  for (const int rank : {0, 1}) {
    EXPECT_FALSE(objects({.pending = 1}));
    monitor_.on_agreement(rank, round_of(1, {{"a", 0, {}}}));
  }
  EXPECT_TRUE(objects({.pending = 1}));
}

TEST_F(BoundsMonitorTest, SeesMoreThanTheQuotaOfTensors) {
  for (const char* name : {"a", "b", "c", "d", "e"}) monitor_.on_submitted(0, {0, name}, {}, kNow);
  EXPECT_FALSE(objects({.pending = 4}));
  EXPECT_TRUE(objects({.pending = 5}));
}

TEST_F(BoundsMonitorTest, SeesWhatNobodyPublished) {
  monitor_.on_store_request(0, {Kind::Set, 1, "k", {1, 2}});
  monitor_.on_store_request(1, {Kind::Set, 1, "k", {1, 2}});
  EXPECT_FALSE(objects({.stored_bytes = 3}));
  EXPECT_TRUE(objects({.stored_bytes = 4}));
}

TEST_F(BoundsMonitorTest, SeesMoreThanTheQuotaOfTheStore) {
  for (const char* key : {"a", "b", "c", "d"})
    monitor_.on_store_request(0, {Kind::Set, 1, key, {1, 2}});
  EXPECT_FALSE(objects({.stored_bytes = 8}));
  EXPECT_TRUE(objects({.stored_bytes = 9}));
}

TEST_F(BoundsMonitorTest, SeesGetsThatNobodyWaitsFor) {
  monitor_.on_store_request(0, {Kind::Get, 1, "k", {}});
  EXPECT_FALSE(objects({.store_waits = 1}));
  monitor_.on_store_reply(0, {1, Status::ok(), {}});
  EXPECT_TRUE(objects({.store_waits = 1}));
}

TEST_F(BoundsMonitorTest, SeesAQueueThatGrows) {
  EXPECT_FALSE(objects({.queued_bytes = 1000}));
  EXPECT_TRUE(objects({.queued_bytes = 100'000}));
}

class StoreMonitorTest : public testing::Test {
 protected:
  void set(int rank, uint64_t number, std::vector<uint8_t> value) {
    monitor_.on_store_request(rank, {Kind::Set, number, "k", std::move(value)});
  }
  void get(int rank, uint64_t number) {
    monitor_.on_store_request(rank, {Kind::Get, number, "k", {}});
  }
  void tell(int rank, uint64_t number, Status status, std::vector<uint8_t> value = {}) {
    monitor_.on_store_reply(rank, {number, std::move(status), std::move(value)});
  }
  Plan plan_ = tight_plan(2);
  Findings findings_;
  StoreMonitor monitor_{plan_, findings_};
};

TEST_F(StoreMonitorTest, ContentWithOneValue) {
  get(1, 1);
  set(0, 1, {7});
  tell(1, 1, Status::ok(), {7});
  tell(0, 1, Status::ok());
  set(1, 2, {8});
  tell(1, 2, {Code::InvalidArgument, "is set already"});
  for (const int rank : {0, 1}) {
    monitor_.on_goodbye(rank);
    monitor_.on_end(rank);
  }
  EXPECT_TRUE(findings_.empty());
}

TEST_F(StoreMonitorTest, SeesAnotherValue) {
  set(0, 1, {7});
  tell(0, 1, Status::ok());
  get(1, 1);
  tell(1, 1, Status::ok(), {8});
  EXPECT_FALSE(findings_.empty());
}

TEST_F(StoreMonitorTest, SeesAKeySetTwice) {
  for (const int rank : {0, 1}) {
    set(rank, 1, {7});
    EXPECT_TRUE(findings_.empty());
    tell(rank, 1, Status::ok());
  }
  EXPECT_FALSE(findings_.empty());
}

TEST_F(StoreMonitorTest, SeesASecondAnswer) {
  set(0, 1, {7});
  tell(0, 1, Status::ok());
  tell(0, 1, Status::ok());
  EXPECT_FALSE(findings_.empty());
}

TEST_F(StoreMonitorTest, AdmitsAnAnswerToWhatWasGivenUp) {
  get(0, 1);
  monitor_.on_store_given_up(0, 1);
  tell(0, 1, {Code::PeerLost, "why"});
  EXPECT_TRUE(findings_.empty());
}

TEST_F(StoreMonitorTest, SeesARefusalWithoutCause) {
  set(0, 1, {7});
  tell(0, 1, {Code::InvalidArgument, "is set already"});
  EXPECT_FALSE(findings_.empty());
}

TEST_F(StoreMonitorTest, SeesAnEndThatHasNotCome) {
  get(0, 1);
  tell(0, 1, {Code::PeerLost, "rank 1 was lost"});
  EXPECT_FALSE(findings_.empty());
}

TEST_F(StoreMonitorTest, AdmitsRefusalsBeyondTheQuotaAndOfTwins) {
  set(0, 1, {1, 2, 3, 4});
  tell(0, 1, {Code::InvalidArgument, "too much"});
  get(0, 2);
  get(0, 3);
  tell(0, 3, {Code::InvalidArgument, "waits already"});
  EXPECT_TRUE(findings_.empty());
}

TEST_F(StoreMonitorTest, SeesASetThatIsNeverAnswered) {
  set(0, 1, {7});
  monitor_.on_goodbye(0);
  monitor_.on_end(0);
  EXPECT_FALSE(findings_.empty());
}

TEST_F(StoreMonitorTest, SeesAGetOfAPublishedKeyThatIsNeverAnswered) {
  get(1, 1);
  monitor_.on_goodbye(1);
  monitor_.on_end(1);
  EXPECT_TRUE(findings_.empty());
  set(0, 1, {7});
  tell(0, 1, Status::ok());
  get(0, 2);
  monitor_.on_goodbye(0);
  monitor_.on_end(0);
  EXPECT_FALSE(findings_.empty());
}

TEST_F(StoreMonitorTest, SeesAGetThatWaitsOnAfterAVerdict) {
  get(0, 1);
  monitor_.on_failure(0, {.rank = 1}, kNow);
  monitor_.on_end(0);
  EXPECT_FALSE(findings_.empty());
}

class OperationMonitorTest : public testing::Test {
 protected:
  void carry_out(int rank, uint32_t set, uint64_t count) {
    for (uint64_t index = 0; index < count; ++index) monitor_.on_executed(rank, {set, "a"}, index);
  }
  void kill(int rank) { monitor_.on_fault({.kind = Fault::Kind::Kill, .rank = rank}); }
  void fail(int rank) {
    monitor_.on_failure(rank, {.rank = 2}, kNow);
    monitor_.on_halted(rank);
  }
  Plan plan_ = tight_plan(3);
  Findings findings_;
  OperationMonitor monitor_{plan_, findings_};
};

TEST_F(OperationMonitorTest, AdmitsNeighbours) {
  kill(2);
  carry_out(0, 1, 3);
  carry_out(1, 1, 2);
  for (const int rank : {0, 1}) fail(rank);
  EXPECT_TRUE(findings_.empty());
}

TEST_F(OperationMonitorTest, SeesOperationsFarFromEachOther) {
  kill(2);
  carry_out(0, 1, 3);
  carry_out(1, 1, 1);
  for (const int rank : {0, 1}) fail(rank);
  EXPECT_FALSE(findings_.empty());
}

TEST_F(OperationMonitorTest, SeesARoundThatOnlyOneWasTold) {
  kill(2);
  monitor_.on_agreement(0, round_of(1, {{"a", 0, {}}}));
  for (const int rank : {0, 1}) fail(rank);
  EXPECT_FALSE(findings_.empty());
}

TEST_F(OperationMonitorTest, AsksNoOneWhoDoesNotHearRankZero) {
  kill(2);
  monitor_.on_fault({.kind = Fault::Kind::Block, .rank = 0, .other = 1});
  monitor_.on_agreement(0, round_of(1, {{"a", 0, {}}}));
  for (const int rank : {0, 1}) fail(rank);
  EXPECT_TRUE(findings_.empty());
}

}  // namespace
}  // namespace farandole::sim

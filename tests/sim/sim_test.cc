// The simulator itself: it repeats, its monitors see what they are for, its shrinker shrinks.

#include <gtest/gtest.h>

#include <set>

#include "tests/sim/monitor_agreement.h"
#include "tests/sim/monitor_inputs.h"
#include "tests/sim/monitor_sequence.h"
#include "tests/sim/run.h"
#include "tests/sim/shrink.h"

namespace farandole::sim {
namespace {

using std::chrono_literals::operator""s;

Plan plan_of(int size) {
  Plan plan;
  plan.size = size;
  plan.cache_capacity = 2;
  plan.process_sets[1] = {0, 1};
  return plan;
}

Signature shaped(std::vector<int64_t> shape) {
  Signature s;
  s.shape = std::move(shape);
  return s;
}

std::vector<Member> members_of(int size) {
  std::vector<Member> members;
  for (int rank = 0; rank < size; ++rank) members.push_back({rank, "host", 1, ""});
  return members;
}

TEST(SimTest, ASeedRepeatsExactly) {
  for (const uint64_t seed : {3U, 14U, 159U, 2653U}) {
    const RunResult first = run_seed(seed, {.traced = true});
    const RunResult second = run_seed(seed, {.traced = true});
    EXPECT_EQ(first.digest, second.digest);
    EXPECT_EQ(first.events, second.events);
    EXPECT_EQ(first.trace, second.trace);
    EXPECT_EQ(first.violation, second.violation);
    EXPECT_NE(first.digest, run_seed(seed + 1).digest);
  }
}

TEST(SimTest, SeedsHaveEveryKindOfFaultAndOfOperationAndManySizes) {
  std::set<int> sizes;
  std::set<CollectiveKind> operations;
  std::set<Duration> handshakes;
  std::set<Fault::Kind> kinds;
  std::set<std::pair<Isolation, bool>> isolations;  // how, and whether of rank 0's host
  size_t faultless = 0;
  size_t least_patience = 0;
  size_t data_first = 0;
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    const Plan plan = draw_plan(seed);
    sizes.insert(plan.size);
    for (const Fault& fault : plan.faults) {
      kinds.insert(fault.kind);
      if (fault.kind == Fault::Kind::Isolate)
        isolations.emplace(isolation_of(fault), plan.share_host(fault.rank, 0));
    }
    for (const Op& op : plan.ops) operations.insert(op.signature.kind);
    handshakes.insert(plan.handshake_timeout);
    least_patience += plan.heartbeat_timeout == 4 * plan.heartbeat_interval ? 1 : 0;
    data_first += plan.gives_up_data_first() ? 1 : 0;
    faultless += plan.faults.empty() ? 1 : 0;
  }
  EXPECT_EQ(*sizes.begin(), 2);
  EXPECT_GT(*sizes.rbegin(), 16);
  EXPECT_EQ(kinds.size(), kFaultKinds);
  EXPECT_EQ(isolations.size(), 2 * kIsolations);
  // All but barriers, which are like an allreduce of nothing, and joins, which are no entry.
  EXPECT_EQ(operations.size(), static_cast<size_t>(kKindCount) - 2);
  EXPECT_EQ(handshakes.size(), 5U);
  EXPECT_GT(least_patience, 100U);
  EXPECT_GT(data_first, 100U);
  EXPECT_GT(faultless, 300U);
  EXPECT_LT(faultless, 2000U);
}

class SequenceMonitorTest : public testing::Test {
 protected:
  SequenceMonitorTest() {
    for (int rank = 0; rank < 2; ++rank) monitor_.on_formed(rank, 1, members_of(2), kNow);
  }
  Plan plan_ = plan_of(2);
  Findings findings_;
  SequenceMonitor monitor_{plan_, findings_};
};

TEST_F(SequenceMonitorTest, SeesAnotherOrder) {
  monitor_.on_agreement(0, round_of(1, {{"a", 0, {}}, {"b", 0, {}}}));
  EXPECT_TRUE(findings_.empty());
  monitor_.on_agreement(1, round_of(1, {{"b", 0, {}}, {"a", 0, {}}}));
  EXPECT_FALSE(findings_.empty());
}

TEST_F(SequenceMonitorTest, SeesAGap) {
  monitor_.on_agreement(0, round_of(2, {}));
  EXPECT_FALSE(findings_.empty());
}

TEST_F(SequenceMonitorTest, SeesOtherMembersAndASecondGroup) {
  monitor_.on_formed(1, 1, members_of(2), kNow);
  EXPECT_FALSE(findings_.empty());
}

TEST_F(SequenceMonitorTest, SeesAGroupWithDifferentSettings) {
  plan_.habits.resize(2);
  plan_.habits[1].other_settings = true;
  SequenceMonitor monitor(plan_, findings_);
  monitor.on_formed(0, 1, members_of(2), kNow);
  EXPECT_FALSE(findings_.empty());
}

TEST_F(SequenceMonitorTest, SeesTwoAnswersToOneProcess) {
  SequenceMonitor monitor(plan_, findings_);
  for (int process = 0; process < 2; ++process) {
    monitor.on_start(0);
    monitor.on_not_formed(0, {Code::PeerLost, "why"});
  }
  EXPECT_TRUE(findings_.empty());
  monitor.on_not_formed(0, {Code::PeerLost, "why"});
  EXPECT_FALSE(findings_.empty());
}

TEST_F(SequenceMonitorTest, SeesAnotherExecution) {
  monitor_.on_execution(0, {0, "a"}, 0);
  monitor_.on_execution(1, {0, "a"}, 0);
  EXPECT_TRUE(findings_.empty());
  monitor_.on_execution(0, {0, "b"}, 1);
  monitor_.on_execution(1, {0, "c"}, 1);
  EXPECT_FALSE(findings_.empty());
}

TEST_F(SequenceMonitorTest, SeesOperationsAfterTheEnd) {
  monitor_.on_failure(1, {.rank = 1, .left = true}, kNow);
  monitor_.on_agreement(1, round_of(1, {{"a", 0, {}}}));
  EXPECT_FALSE(findings_.empty());
}

class AgreementMonitorTest : public testing::Test {
 protected:
  void submit(int rank, std::vector<int64_t> shape) {
    monitor_.on_submitted(rank, {0, "a"}, shaped(std::move(shape)), kNow);
  }
  void reject(Code code) {
    Agreement agreement = round_of(1, {});
    agreement.rejected.push_back({"a", 0, {code, "why"}});
    monitor_.on_agreement(0, agreement);
  }
  Plan plan_ = plan_of(2);
  Findings findings_;
  AgreementMonitor monitor_{plan_, findings_};
};

TEST_F(AgreementMonitorTest, ContentWhenAllHaveSubmittedWhatFits) {
  submit(0, {1});
  submit(1, {1});
  monitor_.on_agreement(0, round_of(1, {{"a", 0, {}}}));
  EXPECT_TRUE(findings_.empty());
}

TEST_F(AgreementMonitorTest, SeesWhoIsMissing) {
  submit(0, {1});
  monitor_.on_agreement(0, round_of(1, {{"a", 0, {}}}));
  EXPECT_FALSE(findings_.empty());
}

TEST_F(AgreementMonitorTest, SeesWhatDoesNotFit) {
  submit(0, {1});
  submit(1, {2});
  monitor_.on_agreement(0, round_of(1, {{"a", 0, {}}}));
  EXPECT_FALSE(findings_.empty());
}

TEST_F(AgreementMonitorTest, SeesTheSameTensorTwice) {
  submit(0, {1});
  submit(1, {1});
  monitor_.on_agreement(0, round_of(1, {{"a", 0, {}}}));
  monitor_.on_agreement(0, round_of(2, {{"a", 0, {}}}));
  EXPECT_FALSE(findings_.empty());
}

TEST_F(AgreementMonitorTest, SeesARejectionWithoutCause) {
  submit(0, {1});
  submit(1, {1});
  reject(Code::Mismatch);
  EXPECT_FALSE(findings_.empty());
}

// What two ranks want alike, and what it is that cannot be.
TEST_F(AgreementMonitorTest, KnowsWhichGroupsAreUnlike) {
  const auto objects = [&](const std::vector<std::string>& zero,
                           const std::vector<std::string>& one) {
    Findings findings;
    AgreementMonitor monitor(plan_, findings);
    for (const std::string& name : zero) monitor.on_submitted(0, {0, name}, shaped({1}), kNow);
    for (const std::string& name : one) monitor.on_submitted(1, {0, name}, shaped({1}), kNow);
    Agreement agreement = round_of(1, {});
    agreement.rejected.push_back({zero.front(), 0, {Code::Mismatch, "group \"g\": unlike"}});
    monitor.on_agreement(0, agreement);
    return !findings.empty();
  };
  EXPECT_FALSE(objects({"g"}, {"g [1/1]"}));
  EXPECT_FALSE(objects({"g [1/2]", "g [2/2]"}, {"g"}));
  EXPECT_FALSE(objects({"g [1/2]", "g [2/2]"}, {"g [1/3]", "g [2/3]", "g [3/3]"}));
  EXPECT_FALSE(objects({"g", ""}, {"g [1/1]"}));
  EXPECT_TRUE(objects({"g [1/2]"}, {"g"}));                        // half of it has come
  EXPECT_TRUE(objects({"g [1/1]"}, {"g [1/1]"}));                  // both mean the same
  EXPECT_TRUE(objects({"g [1/2]", "g [2/2]"}, {"f [1/1]", "f"}));  // another group's
  EXPECT_TRUE(objects({"g [1/2]", "g [2/2]"}, {""}));              // the other has joined
}

TEST_F(AgreementMonitorTest, KnowsWhatCannotBeDone) {
  const Signature adasum{.kind = CollectiveKind::Reduce, .reduce = ReduceOp::Adasum, .shape = {1}};
  const Signature scatter{.kind = CollectiveKind::Scatter};
  const Signature broadcast{.kind = CollectiveKind::Broadcast, .root = 2, .shape = {1}};
  for (const Signature& s : {adasum, scatter, broadcast}) {
    for (const Code code : {Code::Ok, Code::InvalidArgument, Code::Mismatch}) {
      findings_ = {};
      AgreementMonitor monitor(plan_, findings_);
      monitor.on_submitted(0, {0, "a"}, s, kNow);
      monitor.on_submitted(1, {0, "a"}, s, kNow);
      Agreement agreement = round_of(1, {});
      if (code == Code::Ok)
        agreement.ready.push_back({"a", 0, {}});
      else
        agreement.rejected.push_back({"a", 0, {code, "why"}});
      monitor.on_agreement(0, agreement);
      EXPECT_EQ(findings_.empty(), code == Code::InvalidArgument) << name_of(s.kind);
    }
  }
}

// Adasum is an allreduce, which can be done; and of a scatter, what its root has.
TEST_F(AgreementMonitorTest, KnowsWhatCanBeDone) {
  Signature root{.kind = CollectiveKind::Scatter, .shape = {2}};
  root.splits = {1, 1};
  const Signature adasum{.reduce = ReduceOp::Adasum, .shape = {1}};
  for (const Signature& s : {root, adasum}) {
    findings_ = {};
    AgreementMonitor monitor(plan_, findings_);
    monitor.on_submitted(0, {0, "a"}, s, kNow);
    monitor.on_submitted(1, {0, "a"}, s.kind == CollectiveKind::Scatter ? of_receiver(s) : s, kNow);
    Agreement agreement = round_of(1, {});
    agreement.rejected.push_back({"a", 0, {Code::InvalidArgument, "why"}});
    monitor.on_agreement(0, agreement);
    EXPECT_FALSE(findings_.empty()) << name_of(s.kind);
  }
}

TEST_F(AgreementMonitorTest, SeesALossThatNobodyCaused) {
  submit(0, {1});
  reject(Code::PeerLost);
  EXPECT_FALSE(findings_.empty());
}

// Objects to every loss.
class PickyMonitor final : public Monitor {
 public:
  using Monitor::Monitor;
  void on_failure(int, const PeerFailure& failure, TimePoint) override {
    if (!failure.left)
      violated("somebody was lost");
  }
};

Monitors picky(const Plan&, Findings& findings) {
  Monitors monitors;
  monitors.push_back(std::make_unique<PickyMonitor>(findings));
  return monitors;
}

TEST(ShrinkTest, LeavesWhatTheViolationNeeds) {
  const RunOptions options{.monitors = picky};
  uint64_t seed = 1;
  while (!run_seed(seed, options).violation || draw_plan(seed).size < 4) ++seed;
  const Shrunk small = shrink(draw_plan(seed), [](const Plan& plan, bool traced) {
    return run_plan(plan, {.traced = traced, .monitors = picky});
  });
  EXPECT_EQ(small.result.violation, "somebody was lost");
  EXPECT_FALSE(small.result.trace.empty());
  EXPECT_EQ(small.plan.faults.size(), 1U);
  EXPECT_EQ(small.plan.size, 2);
  EXPECT_TRUE(small.plan.stores.empty());
  EXPECT_EQ(run_plan(small.plan, options).violation, small.result.violation);
}

}  // namespace
}  // namespace farandole::sim

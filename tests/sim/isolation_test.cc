// A host with several ranks that is cut off from all others, both ways or one way: who hears of it,
// what, and when.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/fault_seen.h"
#include "tests/sim/touched.h"

namespace farandole::sim {
namespace {

using testing::AnyOf;

constexpr int kSize = 5;

// Two ranks on the host of rank 0, two on another one, one on a third.
Plan job_on_hosts() {
  Plan plan = job_of(kSize);
  plan.hosts = {0, 0, 1, 1, 2};
  return plan;
}

Fault isolation(int rank, Isolation how, Duration length) {
  return {
      .kind = Fault::Kind::Isolate,
      .length = length,
      .rank = rank,
      .actions = static_cast<uint64_t>(how)};
}

// All of these hear the same, when silence tells.
int expect_silence_told(const Seen& seen, const std::vector<int>& ranks) {
  const auto found = seen.verdicts.find(ranks.front());
  const int culprit = found == seen.verdicts.end() ? -1 : found->second.culprit;
  for (const int rank : ranks)
    expect_verdict(seen, rank, culprit, kAt + kSilentFrom, kAt + kSilentTo);
  return culprit;
}

TEST(IsolationTest, AHostThatIsCutOffIsLostAndLosesRankZero) {
  const Seen seen = run_with(job_on_hosts(), isolation(3, Isolation::Both, 3s));
  EXPECT_THAT(expect_silence_told(seen, {0, 1, 4}), AnyOf(2, 3));
  EXPECT_EQ(expect_silence_told(seen, {2, 3}), 0);
}

TEST(IsolationTest, WhoIsNotHeardHearsThatItIsLost) {
  const Seen seen = run_with(job_on_hosts(), isolation(3, Isolation::Out, 3s));
  EXPECT_THAT(expect_silence_told(seen, {0, 1, 2, 3, 4}), AnyOf(2, 3));
}

TEST(IsolationTest, WhoHearsNothingTellsAllThatItHasLostRankZero) {
  const Seen seen = run_with(job_on_hosts(), isolation(3, Isolation::In, 3s));
  EXPECT_EQ(expect_silence_told(seen, {0, 1, 2, 3, 4}), 0);
}

TEST(IsolationTest, RankZeroWithItsHostIsGivenUpByAllOthers) {
  const Seen seen = run_with(job_on_hosts(), isolation(1, Isolation::Both, 3s));
  EXPECT_THAT(expect_silence_told(seen, {0, 1}), AnyOf(2, 3, 4));
  EXPECT_EQ(expect_silence_told(seen, {2, 3, 4}), 0);
}

TEST(IsolationTest, RankZeroThatHearsNobodyTellsAllWhomItHasLost) {
  const Seen seen = run_with(job_on_hosts(), isolation(1, Isolation::In, 3s));
  EXPECT_THAT(expect_silence_told(seen, {0, 1, 2, 3, 4}), AnyOf(2, 3, 4));
}

TEST(IsolationTest, RankZeroThatNobodyHearsIsToldThatItIsLost) {
  const Seen seen = run_with(job_on_hosts(), isolation(1, Isolation::Out, 3s));
  EXPECT_EQ(expect_silence_told(seen, {0, 1, 2, 3, 4}), 0);
}

TEST(IsolationTest, AShortOneHarmsNobody) {
  for (const int rank : {0, 2, 4})
    for (const Isolation how : {Isolation::Both, Isolation::In, Isolation::Out})
      expect_undisturbed(run_with(job_on_hosts(), isolation(rank, how, 700ms)), kSize);
}

TEST(IsolationTest, OnOneHostThereIsNobodyToBeCutOffFrom) {
  Plan plan = job_of(kSize);
  plan.hosts.assign(kSize, 0);
  expect_undisturbed(run_with(plan, isolation(2, Isolation::Both, 5s)), kSize);
}

TEST(IsolationTest, TheGroupFormsWhenTheHostIsBack) {
  Plan plan = job_on_hosts();
  for (const Isolation how : {Isolation::Both, Isolation::In, Isolation::Out}) {
    Fault fault = isolation(2, how, 2s);
    fault.at = 1us;
    expect_undisturbed(run_with(plan, fault), kSize);
  }
}

// Those on the side of rank 0 have its word, and may not be blamed.
TEST(IsolationTest, TouchesWhoIsOnTheOtherSideOfRankZero) {
  const Plan plan = job_on_hosts();
  Touched other(plan);
  other.on_fault(isolation(3, Isolation::Both, 3s));
  Touched own(plan);
  own.on_fault(isolation(1, Isolation::Both, 3s));
  for (int rank = 0; rank < kSize; ++rank) {
    EXPECT_EQ(other.any(rank), rank == 2 || rank == 3) << rank;
    EXPECT_EQ(own.any(rank), rank >= 2) << rank;
    EXPECT_EQ(own.far(rank), rank >= 2) << rank;
  }
}

}  // namespace
}  // namespace farandole::sim

// Each kind of fault does what it says, and is noticed when it can be: not earlier, and not later.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/fault_seen.h"

namespace farandole::sim {
namespace {

using FaultKind = Fault::Kind;
using testing::AllOf;
using testing::AnyOf;
using testing::Ge;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;

// Three ranks and this fault.
Seen run_with(const Fault& fault) {
  return sim::run_with(job_of(3), fault);
}

void expect_undisturbed(const Seen& seen) {
  sim::expect_undisturbed(seen, 3);
}

TEST(FaultTest, WithoutAnyAllIsCarriedOut) {
  expect_undisturbed(run(job_of(3)));
}

TEST(FaultTest, AKilledRankIsLostAtOnce) {
  const Seen seen = run_with({.kind = FaultKind::Kill, .rank = 2});
  EXPECT_EQ(seen.deaths.at(2), kAt);
  for (const int rank : {0, 1}) expect_verdict(seen, rank, 2, kAt, kAt + kSoon);
}

TEST(FaultTest, ADoomedRankDiesInTheMiddleOfAnAction) {
  const Seen seen = run_with({.kind = FaultKind::Doom, .rank = 2, .actions = 5});
  const Duration death = seen.deaths.at(2);
  EXPECT_GT(death, kAt);
  EXPECT_LT(death, kAt + 500ms);
  for (const int rank : {0, 1}) expect_verdict(seen, rank, 2, death, death + kSoon);
}

TEST(FaultTest, WhoLeavesIsNotLost) {
  const Seen seen = run_with({.kind = FaultKind::Leave, .rank = 2});
  EXPECT_THAT(seen.verdicts, IsEmpty());
  EXPECT_EQ(seen.left.at(2), 3);
  EXPECT_LT(seen.carried_out, 180U);
}

TEST(FaultTest, OfAHostThatVanishedOnlySilenceTells) {
  const Seen seen = run_with({.kind = FaultKind::Vanish, .rank = 2});
  EXPECT_EQ(seen.deaths.at(2), kAt);
  for (const int rank : {0, 1}) expect_verdict(seen, rank, 2, kAt + kSilentFrom, kAt + kSilentTo);
}

TEST(FaultTest, ALateEndIsHeardOfLate) {
  const Seen seen = run_with({.kind = FaultKind::LateEnd, .length = 500ms, .rank = 2});
  for (const int rank : {0, 1}) expect_verdict(seen, rank, 2, kAt + 500ms, kAt + 500ms + kSoon);
}

TEST(FaultTest, AStopThatIsShorterThanThePatienceHarmsNobody) {
  expect_undisturbed(run_with({.kind = FaultKind::Stop, .length = 700ms, .rank = 2}));
  expect_undisturbed(run_with({.kind = FaultKind::Stop, .length = 700ms, .rank = 0}));
}

TEST(FaultTest, WhoIsStoppedForLongerIsLostAndHearsItWhenItWakes) {
  const Seen seen = run_with({.kind = FaultKind::Stop, .length = 3s, .rank = 2});
  for (const int rank : {0, 1}) expect_verdict(seen, rank, 2, kAt + kSilentFrom, kAt + kSilentTo);
  expect_verdict(seen, 2, 2, kAt + 3s, kAt + 3s + kSoon);
}

TEST(FaultTest, RankZeroThatIsStoppedIsGivenUpByAll) {
  const Seen seen = run_with({.kind = FaultKind::Stop, .length = 3s, .rank = 0});
  for (const int rank : {1, 2}) expect_verdict(seen, rank, 0, kAt + kSilentFrom, kAt + kSilentTo);
}

TEST(FaultTest, ABlockDropsOneDirectionOnly) {
  const Seen up = run_with({.kind = FaultKind::Block, .length = 3s, .rank = 2, .other = 0});
  for (const int rank : {0, 1, 2}) expect_verdict(up, rank, 2, kAt + kSilentFrom, kAt + kSilentTo);
  const Seen down = run_with({.kind = FaultKind::Block, .length = 3s, .rank = 0, .other = 2});
  expect_verdict(down, 2, 0, kAt + kSilentFrom, kAt + kSilentTo);
}

TEST(FaultTest, ACutDropsBothAndNoOtherPath) {
  const Seen seen = run_with({.kind = FaultKind::Cut, .length = 3s, .rank = 2, .other = 0});
  for (const int rank : {0, 1}) expect_verdict(seen, rank, 2, kAt + kSilentFrom, kAt + kSilentTo);
  expect_verdict(seen, 2, 0, kAt + kSilentFrom, kAt + kSilentTo);
}

TEST(FaultTest, AShortCutHarmsNobody) {
  expect_undisturbed(run_with({.kind = FaultKind::Cut, .length = 700ms, .rank = 0, .other = 1}));
}

TEST(FaultTest, AResetBreaksBothEndsAtOnce) {
  const Seen seen = run_with({.kind = FaultKind::Reset, .rank = 2, .other = 0});
  for (const int rank : {0, 1}) expect_verdict(seen, rank, 2, kAt, kAt + kSoon);
  expect_verdict(seen, 2, 0, kAt, kAt + kSoon);
}

TEST(FaultTest, AHalfResetBreaksOneEndAndTheOtherWhenItSpeaks) {
  const Seen seen = run_with({.kind = FaultKind::HalfReset, .rank = 2, .other = 0});
  expect_verdict(seen, 2, 0, kAt, kAt + kSoon);
  // With its next beat or its next round.
  for (const int rank : {0, 1}) expect_verdict(seen, rank, 2, kAt, kAt + kSilentTo);
}

TEST(FaultTest, AResetOfDataConnectionsIsAnAccusationAndNothingElse) {
  const Seen seen = run_with({.kind = FaultKind::DataReset, .rank = 1, .other = 2});
  const int culprit = seen.verdicts.at(0).culprit;
  EXPECT_THAT(culprit, AnyOf(1, 2));
  for (const int rank : {0, 1, 2})
    expect_verdict(
        seen,
        rank,
        culprit,
        kAt + ControlPlane::kConfirm,
        // Until the next operation, too.
        kAt + 2 * 100ms + ControlPlane::kConfirm + kSoon);
  EXPECT_THAT(seen.deaths, IsEmpty());
}

// Who is silent for less is not lost for that; but its data is late, and better evidence never
// comes.
TEST(FaultTest, WhereDataIsGivenUpFirstAShortStopLosesWhoIsLate) {
  Plan plan = job_of(3);
  plan.data_timeout = 300ms;
  const Seen seen = sim::run_with(plan, {.kind = FaultKind::Stop, .length = 700ms, .rank = 2});
  const Duration told = plan.data_timeout + ControlPlane::kConfirm;
  // An operation may have been under way, or is begun after a while.
  for (const int rank : {0, 1})
    expect_verdict(seen, rank, 2, kAt + told - kSoon, kAt + 100ms + told + kSoon);
  expect_verdict(seen, 2, 2, kAt + 700ms, kAt + 700ms + kSoon);
}

TEST(FaultTest, TheLeastPatienceBearsHalfOfItAndNoMoreThanAllOfIt) {
  Plan plan = job_of(3);
  plan.heartbeat_interval = kPatience / 4;
  for (const int rank : {0, 2})
    expect_undisturbed(
        sim::run_with(plan, {.kind = FaultKind::Stop, .length = kPatience / 2, .rank = rank}));
  const Seen seen = sim::run_with(plan, {.kind = FaultKind::Vanish, .rank = 2});
  for (const int rank : {0, 1})
    expect_verdict(seen, rank, 2, kAt + kPatience * 3 / 4 - kSoon, kAt + kPatience * 3 / 2 + kSoon);
}

TEST(FaultTest, AClockThatLeapsHarmsNobody) {
  for (const Duration ahead : {300ms, 700ms, 10000ms})
    expect_undisturbed(run_with({.kind = FaultKind::Jump, .length = ahead, .rank = 2}));
}

TEST(FaultTest, AClockThatLeapsIsThatOfItsProcess) {
  Plan plan = job_of(3);
  plan.habits[0].never = true;
  plan.faults.push_back({.kind = FaultKind::Jump, .at = kAt, .length = 3s, .rank = 2});
  const Seen seen = run(plan);
  EXPECT_THAT(seen.given_up.at(1), AllOf(Ge(5s), Le(5s + kSoon)));
  EXPECT_THAT(seen.given_up.at(2), AllOf(Ge(2s), Le(2s + 300ms)));
}

TEST(FaultTest, StaleFramesChangeNothing) {
  for (const uint64_t how : {0U, 1U, 2U, 3U})
    expect_undisturbed(run_with({.kind = FaultKind::Stale, .rank = 2, .actions = how}));
}

TEST(FaultTest, ARespawnedRankJoinsWhereTheGroupHadNotFormed) {
  Plan plan = job_of(3);
  plan.habits[1].start = 500ms;
  plan.faults.push_back({.kind = FaultKind::Respawn, .at = 100ms, .length = 50ms, .rank = 2});
  const Seen seen = run(plan);
  EXPECT_EQ(seen.starts.at(2), 2);
  EXPECT_EQ(seen.deaths.at(2), 100ms);
  expect_undisturbed(seen);
  // Also where the kernel tells rank 0 of the end of the process before.
  plan.hosts[2] = plan.hosts[0];
  expect_undisturbed(run(plan));
  const Seen late = run_with({.kind = FaultKind::Respawn, .length = 50ms, .rank = 2});
  EXPECT_EQ(late.starts.at(2), 1);
  for (const int rank : {0, 1}) expect_verdict(late, rank, 2, kAt, kAt + kSoon);
}

// Rank 0 is alive as long as its last words travel: it is not given up for the wait that they name.
TEST(FaultTest, WhyTheJobEndsIsHeardOverASlowLinkToo) {
  Plan plan = job_of(3);
  plan.start_timeout = plan.shutdown_timeout = 60s;
  plan.delay_least = plan.delay_most = 100ms;
  plan.capacity = 16;  // bytes in 100 ms
  plan.stall_report = 4s;
  plan.stall_abort = 6s;
  plan.ops[0].name = "first";
  plan.ops[0].absent = 2;
  const Seen seen = run(plan);
  for (const int rank : {0, 1, 2}) {
    ASSERT_TRUE(seen.verdicts.contains(rank)) << rank;
    EXPECT_EQ(seen.verdicts.at(rank).culprit, 2) << "as rank " << rank << " hears";
  }
  EXPECT_GT(seen.verdicts.at(1).at - seen.verdicts.at(0).at, kPatience) << "the link is slow";
}

// --- while the group forms

// All of these hear the same, then.
void expect_refusal(
    const Seen& seen, const std::vector<int>& ranks, const std::string& text, Duration at) {
  EXPECT_EQ(seen.formed, 0U);
  for (const int rank : ranks) {
    const auto found = seen.refusals.find(rank);
    ASSERT_NE(found, seen.refusals.end()) << "rank " << rank << " is not told";
    EXPECT_THAT(found->second.why.message(), HasSubstr(text));
    EXPECT_EQ(found->second.why, seen.refusals.at(ranks[0]).why);
    EXPECT_GE(found->second.at / 1us, at / 1us);
    EXPECT_LE(found->second.at / 1us, (at + kSoon) / 1us);
  }
}

TEST(FormationFaultTest, ARankThatNeverComesIsMissedAtTheDeadline) {
  Plan plan = job_of(3);
  plan.habits[2].never = true;
  expect_refusal(run(plan), {0, 1}, "rank 2 is missing", 5s);
}

TEST(FormationFaultTest, ARankOfAnotherJobIsTurnedAwayAtOnce) {
  Plan plan = job_of(3);
  plan.habits[2].other_job = true;
  const Seen seen = run(plan);
  EXPECT_LT(seen.given_up.at(2), kSoon);
  expect_refusal(seen, {0, 1}, "rank 2 is missing", 5s);
}

TEST(FormationFaultTest, ThatASizeOrASettingIsAnotherIsToldToAllAtOnce) {
  Plan plan = job_of(3);
  plan.habits[2].other_size = true;
  expect_refusal(run(plan), {0, 1, 2}, "rank 0 has 3, rank 2 has 4", 0s);
  plan = job_of(3);
  plan.habits[2].other_settings = true;
  expect_refusal(run(plan), {0, 1, 2}, "ranks disagree on FARANDOLE_FUSION_BYTES", 0s);
}

TEST(FormationFaultTest, ATwinThatComesFirstKeepsTheRankOutAndIsToldWhy) {
  Plan plan = job_of(3);
  plan.habits[2].start = 200ms;
  plan.faults.push_back(
      {.kind = FaultKind::Twin, .at = 50ms, .length = 20s, .rank = 2, .actions = 1});
  const Seen seen = run(plan);
  EXPECT_THAT(seen.given_up.at(2), AllOf(Ge(200ms), Le(200ms + kSoon)));
  expect_refusal(seen, {0, 1}, "rank 2 is missing", 5s);
  EXPECT_TRUE(seen.traced("the twin has been told"));
}

TEST(FormationFaultTest, ATwinThatComesLaterIsTurnedAway) {
  Plan plan = job_of(3);
  plan.habits[1].start = 500ms;
  plan.faults.push_back(
      {.kind = FaultKind::Twin, .at = 100ms, .length = 20s, .rank = 2, .actions = 1});
  const Seen seen = run(plan);
  EXPECT_TRUE(seen.traced("the twin is turned away"));
  expect_undisturbed(seen);
}

TEST(FormationFaultTest, ATwinThatSpeaksOutOfTurnIsBlamed) {
  Plan plan = job_of(3);
  plan.habits[2].never = true;
  plan.faults.push_back(
      {.kind = FaultKind::Twin, .at = 50ms, .length = 20s, .rank = 2, .actions = 2});
  const Seen seen = run(plan);
  expect_refusal(seen, {0, 1}, "rank 2 spoke before it had joined", 50ms);
  EXPECT_EQ(seen.refusals.at(1).why.culprit(), 2);
}

// Rank 1 has its control connection when the group is refused, and its heartbeats cannot be
// connected for a while: it is waited for, and told.
TEST(FormationFaultTest, WhoIsHalfConnectedIsTold) {
  Plan plan = job_of(3);
  plan.delay_least = 10ms;
  plan.delay_most = 10ms + 1us;
  plan.habits[1].start = 40ms;
  plan.habits[2].other_settings = true;
  plan.faults.push_back({.kind = FaultKind::Block, .at = 75ms, .length = 300ms, .rank = 1});
  const Seen seen = run(plan);
  EXPECT_LT(seen.refusals.at(0).at, 120ms);
  EXPECT_EQ(seen.refusals.at(1).why, seen.refusals.at(0).why);
  EXPECT_LT(seen.refusals.at(1).at, 500ms);
}

// The rank has not heard that rank 0 has admitted its heartbeats.
TEST(FormationFaultTest, HeartbeatsWhoseAdmissionWasLostAreConnectedAnew) {
  Plan plan = job_of(3);
  plan.delay_least = 10ms;
  plan.delay_most = 10ms + 1us;
  // Its control connection is there at 40 ms; that of its heartbeats for rank 0 at 70 ms.
  plan.faults.push_back({.kind = FaultKind::HalfReset, .at = 75ms, .rank = 2, .actions = 1});
  const Seen seen = run(plan);
  EXPECT_EQ(seen.formed, 3U);
}

}  // namespace
}  // namespace farandole::sim

#include "controller/protocol/membership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/protocol/liveness.h"
#include "tests/protocol/cluster.h"

namespace farandole::control {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class MembershipTest : public testing::Test {
 protected:
  static constexpr size_t kSize = 4;

  static MembershipOptions options() {
    MembershipOptions options;
    options.limits = small_limits(kSize);
    options.settings = {{"FARANDOLE_FUSION_BYTES", "64"}};
    options.job = kJob;
    options.incarnation = 1000;
    options.epoch = 7;
    options.start = kStart;
    options.deadline = kStart + 30s;
    return options;
  }

  static Join join_of(int rank) {
    return {{rank, "host", 100 + rank, ""}, kSize, {{"FARANDOLE_FUSION_BYTES", "64"}}};
  }

  static Envelope envelope_of(int rank, uint64_t seq = 1) {
    return {.job = kJob, .incarnation = 1000 + static_cast<uint64_t>(rank), .seq = seq};
  }

  Actions join(int rank) { return join(rank, join_of(rank)); }
  Actions join(int rank, const Join& message, uint64_t seq = 1) {
    return membership_.on_frame(rank, encode(envelope_of(rank, seq), message));
  }

  template <typename T>
  static std::vector<T> only(const Actions& actions) {
    std::vector<T> out;
    for (const Action& action : actions)
      if (const T* one = std::get_if<T>(&action))
        out.push_back(*one);
    return out;
  }

  // What `rank` is told: the body of the last message to it.
  static Message told(const Actions& actions, int rank) {
    Message out;
    for (const SendTo& send : only<SendTo>(actions))
      if (send.rank == rank)
        out = decode(send.bytes, small_limits(kSize)).value().body;
    return out;
  }

  static Status refusal(const Actions& actions) {
    const std::vector<NotFormed> end = only<NotFormed>(actions);
    return end.empty() ? Status::ok() : end[0].why;
  }

  // All are connected.
  static Membership connected() {
    Membership membership(options());
    for (int rank = 0; rank < static_cast<int>(kSize); ++rank)
      EXPECT_THAT(membership.on_connected(rank), IsEmpty());
    return membership;
  }

  Membership membership_ = connected();
};

TEST_F(MembershipTest, WhoGaveUpRankZeroEndsTheFormation) {
  join(1);
  join(2);
  const Report report{{.rank = 0, .cause = "no heartbeat for 3.0 s"}};
  const Actions actions = membership_.on_frame(2, encode(envelope_of(2, 2), report));
  EXPECT_EQ(
      refusal(actions),
      Status(Code::PeerLost, "rank 2 gave up rank 0 while the group formed: no heartbeat for 3.0 s")
          .blame(0));
  EXPECT_EQ(std::get<Refuse>(told(actions, 1)).why, refusal(actions));
}

TEST_F(MembershipTest, AReportOfAnotherIsNoGivingUpOfRankZero) {
  const Report another{{.rank = 1, .cause = "stuck"}};
  EXPECT_EQ(refusal(membership_.on_frame(2, encode(envelope_of(2, 1), another))).culprit(), 2);
}

TEST_F(MembershipTest, WelcomesAllWhenTheLastHasJoined) {
  for (const int rank : {2, 0, 3}) EXPECT_THAT(join(rank), IsEmpty());
  EXPECT_THAT(membership_.missing(), ElementsAre(1));
  const Actions actions = join(1);
  ASSERT_EQ(only<Formed>(actions).size(), 1U);
  EXPECT_EQ(only<Formed>(actions)[0].epoch, 7U);
  for (int rank = 0; rank < 4; ++rank) {
    const Welcome welcome = std::get<Welcome>(told(actions, rank));
    EXPECT_EQ(welcome.epoch, 7U);
    ASSERT_EQ(welcome.members.size(), kSize);
    EXPECT_EQ(welcome.members[3].pid, 103);
  }
  EXPECT_TRUE(membership_.ended());
  EXPECT_EQ(membership_.take_group().members, only<Formed>(actions)[0].members);
  EXPECT_THAT(membership_.tick(kStart + 100s), IsEmpty());
}

TEST_F(MembershipTest, NamesWhoIsMissingAtTheDeadline) {
  join(0);
  join(2);
  EXPECT_THAT(membership_.tick(kStart + 30s - 1ms), IsEmpty());
  const Actions actions = membership_.tick(kStart + 30s);
  const Status why = refusal(actions);
  EXPECT_EQ(why.code(), Code::Timeout);
  EXPECT_EQ(
      why.message(),
      "the group of 4 ranks did not form within 30 s (FARANDOLE_START_TIMEOUT): ranks 1 and 3 are "
      "missing");
  EXPECT_EQ(std::get<Refuse>(told(actions, 0)).why, why);
  EXPECT_EQ(std::get<Refuse>(told(actions, 2)).why, why);
  EXPECT_EQ(only<CloseRank>(actions).size(), kSize);
}

// A refusal waits for nobody's word: who is connected has asked by that.
TEST_F(MembershipTest, TellsARefusalToTheSilentAndToWhoComesLater) {
  Membership membership(options());
  for (const int rank : {1, 2}) membership.on_connected(rank);
  const Actions actions = membership.tick(kStart + 30s);
  const Status why = refusal(actions);
  for (const int rank : {0, 1, 2}) EXPECT_EQ(std::get<Refuse>(told(actions, rank)).why, why);
  EXPECT_THAT(only<SendTo>(actions), SizeIs(3)) << "rank 3 has no connection";
  const Actions late = membership.on_connected(3);
  EXPECT_EQ(std::get<Refuse>(told(late, 3)).why, why);
  EXPECT_THAT(only<CloseRank>(late), SizeIs(1));
  EXPECT_THAT(membership.on_frame(3, encode(envelope_of(3), join_of(3))), IsEmpty());
}

TEST_F(MembershipTest, TellsNobodyWhoseConnectionBroke) {
  membership_.on_lost(2);
  const Actions actions = membership_.tick(kStart + 30s);
  EXPECT_THAT(only<SendTo>(actions), SizeIs(3));
  EXPECT_EQ(std::get<Refuse>(told(membership_.on_connected(2), 2)).why, refusal(actions));
}

TEST_F(MembershipTest, ALostRankIsMissingAgainAndMayComeBack) {
  for (const int rank : {0, 1, 2}) join(rank);
  membership_.on_lost(1);
  EXPECT_THAT(membership_.missing(), ElementsAre(1, 3));
  EXPECT_THAT(join(3), IsEmpty());
  // The new process counts from 1 again, under another incarnation.
  Envelope envelope = envelope_of(1);
  envelope.incarnation = 555;
  const Actions actions = membership_.on_frame(1, encode(envelope, join_of(1)));
  EXPECT_EQ(only<Formed>(actions).size(), 1U);
}

TEST_F(MembershipTest, RefusesAnotherSize) {
  join(0);
  Join wrong = join_of(1);
  wrong.size = 8;
  const Actions actions = join(1, wrong);
  EXPECT_EQ(
      refusal(actions),
      Status(
          Code::Mismatch,
          "ranks disagree on the size of the job: rank 0 has 4, rank 1 has 8; start every rank "
          "with "
          "one FARANDOLE_SIZE"));
  EXPECT_EQ(std::get<Refuse>(told(actions, 0)).why, std::get<Refuse>(told(actions, 1)).why);
}

TEST_F(MembershipTest, RefusesOtherSettings) {
  Join wrong = join_of(1);
  wrong.settings[0].value = "32";
  EXPECT_EQ(
      refusal(join(1, wrong)),
      Status(
          Code::Mismatch,
          "ranks disagree on FARANDOLE_FUSION_BYTES: rank 0 has 64, rank 1 has 32; set it alike on "
          "every rank"));
}

TEST_F(MembershipTest, RefusesMissingSettings) {
  Join wrong = join_of(1);
  wrong.settings.clear();
  EXPECT_EQ(
      refusal(join(1, wrong)).message(),
      "ranks disagree on which settings they share: rank 0 has 1, rank 1 has 0; run one version of "
      "Farandole on every rank");
}

TEST_F(MembershipTest, RefusesWhoJoinsTwice) {
  join(1);
  const Status why = refusal(join(1, join_of(1), 2));
  EXPECT_EQ(why.message(), "rank 1 joined twice");
  EXPECT_EQ(why.culprit(), 1);
}

TEST_F(MembershipTest, RefusesAFalseRank) {
  EXPECT_EQ(refusal(join(1, join_of(2))).message(), "rank 1 says that it is rank 2");
}

TEST_F(MembershipTest, RefusesMalformedAndUntimelyMessages) {
  const Status malformed = refusal(membership_.on_frame(1, Bytes(10)));
  EXPECT_EQ(
      malformed.message(), "rank 1 joined with a malformed message: 10 bytes that are no message");
  Membership other(options());
  EXPECT_EQ(
      refusal(other.on_frame(2, encode(envelope_of(2), Leave{}))).message(),
      "rank 2 spoke before it had joined");
}

TEST_F(MembershipTest, DropsFramesOfOtherJobsAndEpochs) {
  Envelope envelope = envelope_of(1);
  envelope.job = 1;
  EXPECT_THAT(membership_.on_frame(1, encode(envelope, join_of(1))), IsEmpty());
  envelope = envelope_of(1);
  envelope.epoch = 6;
  EXPECT_THAT(membership_.on_frame(1, encode(envelope, join_of(1))), IsEmpty());
  EXPECT_THAT(membership_.missing(), ElementsAre(0, 1, 2, 3));
}

TEST(Link, CountsWhatItDrops) {
  Link link(5, 1);
  const Envelope good{.epoch = 0, .job = 5, .incarnation = 9, .seq = 4};
  const auto with = [&](auto change) {
    Envelope envelope = good;
    change(envelope);
    return envelope;
  };
  EXPECT_TRUE(link.accept(good));
  EXPECT_FALSE(link.accept(good));
  EXPECT_FALSE(link.accept(with([](Envelope& e) { e.seq = 3; })));
  EXPECT_FALSE(link.accept(with([](Envelope& e) { e.job = 6, e.seq = 5; })));
  EXPECT_FALSE(link.accept(with([](Envelope& e) { e.epoch = 1, e.seq = 5; })));
  EXPECT_FALSE(link.accept(with([](Envelope& e) { e.incarnation = 8, e.seq = 5; })));
  EXPECT_TRUE(link.accept(with([](Envelope& e) { e.seq = 5; })));
  EXPECT_EQ(link.dropped(), (Dropped{.job = 1, .epoch = 1, .incarnation = 1, .seq = 2}));
  link.enter(3);
  EXPECT_FALSE(link.accept(with([](Envelope& e) { e.seq = 6; })));
  EXPECT_TRUE(link.accept(with([](Envelope& e) { e.epoch = 3, e.seq = 6; })));
  EXPECT_EQ(link.next(), (Envelope{.epoch = 3, .job = 5, .incarnation = 1, .seq = 1}));
  EXPECT_EQ(link.next().seq, 2U);
}

class LivenessTest : public testing::Test {
 protected:
  LivenessTest() {
    for (const int rank : {2, 1}) liveness_.watch(rank, kStart);
  }
  // Ticks every 250 ms after kStart + `from` until kStart + `to`, beating for `beating`.
  std::vector<Silence> run(Duration from, Duration to, std::vector<int> beating) {
    std::vector<Silence> all;
    for (Duration at = from + 250ms; at <= to; at += 250ms) {
      for (const int rank : beating) liveness_.on_beat(rank, kStart + at);
      for (const Silence& silence : liveness_.tick(kStart + at)) all.push_back(silence);
    }
    return all;
  }

  Liveness liveness_{3s, kStart};
};

TEST_F(LivenessTest, AccusesWhoIsSilentOnce) {
  EXPECT_THAT(run(0s, 3s, {1}), IsEmpty());
  EXPECT_THAT(run(3s, 10s, {1}), ElementsAre(Silence{2, 3250ms}));
  EXPECT_EQ(liveness_.watched(), 1U);
}

TEST_F(LivenessTest, AccusesInRankOrder) {
  EXPECT_THAT(run(0s, 4s, {}), ElementsAre(Silence{1, 3250ms}, Silence{2, 3250ms}));
}

TEST_F(LivenessTest, ForgetsWhoHasLeft) {
  liveness_.forget(2);
  liveness_.on_beat(2, kStart + 1s);
  EXPECT_THAT(run(0s, 10s, {1}), IsEmpty());
}

TEST_F(LivenessTest, AccusesNobodyAfterItsOwnStop) {
  EXPECT_THAT(run(0s, 1s, {1, 2}), IsEmpty());
  EXPECT_THAT(liveness_.tick(kStart + 60s), IsEmpty());
  // Everyone has the whole timeout again, and no more.
  EXPECT_THAT(run(60s, 63s, {1}), IsEmpty());
  EXPECT_THAT(run(63s, 64s, {1}), ElementsAre(Silence{2, 3250ms}));
}

TEST_F(LivenessTest, AShortPauseResetsNothing) {
  EXPECT_THAT(run(0s, 2s, {1}), IsEmpty());
  liveness_.on_beat(1, kStart + 3500ms);
  EXPECT_THAT(liveness_.tick(kStart + 3500ms), ElementsAre(Silence{2, 3500ms}));
}

TEST_F(LivenessTest, AnOldBeatTurnsNoClockBack) {
  liveness_.on_beat(1, kStart + 1s);
  liveness_.on_beat(1, kStart);
  EXPECT_THAT(run(0s, 4s, {2}), IsEmpty());
  EXPECT_THAT(run(4s, 5s, {2}), ElementsAre(Silence{1, 3250ms}));
}

}  // namespace
}  // namespace farandole::control

// Bytes that no honest rank sends: nothing crashes, nothing grows, and only what decode() accepts
// has an effect. Fixed seeds.

#include <gtest/gtest.h>

#include <random>

#include "tests/protocol/cluster.h"
#include "tests/protocol/samples.h"

namespace farandole::control {
namespace {

using Random = std::mt19937_64;

size_t below(Random& random, size_t n) {
  return std::uniform_int_distribution<size_t>(0, n - 1)(random);
}

// Whatever was accepted can be said again, and means the same.
void check_accepted(const Bytes& bytes) {
  const Result<Frame> frame = decode(bytes, sample_limits());
  if (!frame)
    return;
  const Frame& f = frame.value();
  const Result<Frame> again = decode(encode(f.envelope, f.body), sample_limits());
  ASSERT_TRUE(again) << again.status().message();
  EXPECT_EQ(again.value(), f);
}

TEST(HostileBytes, EveryTruncationIsJudged) {
  for (const Message& message : sample_messages()) {
    const Bytes bytes = encode(kSampleEnvelope, message);
    for (size_t length = 0; length < bytes.size(); ++length)
      check_accepted(Bytes(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(length)));
  }
}

TEST(HostileBytes, EveryFlippedBitIsJudged) {
  for (const Message& message : sample_messages()) {
    const Bytes bytes = encode(kSampleEnvelope, message);
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      Bytes flipped = bytes;
      flipped[bit / 8] = static_cast<uint8_t>(flipped[bit / 8] ^ (1U << (bit % 8)));
      check_accepted(flipped);
    }
  }
}

TEST(HostileBytes, RandomBytesAreRefused) {
  Random random(1);
  for (int i = 0; i < 20000; ++i) {
    Bytes bytes(below(random, 400));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    EXPECT_FALSE(decode(bytes, sample_limits()));
  }
}

Bytes spoiled(Random& random, Bytes bytes) {
  for (size_t n = 1 + below(random, 8); n > 0; --n) {
    uint8_t& byte = bytes[below(random, bytes.size())];
    byte = below(random, 2) == 0 ? static_cast<uint8_t>(random())
                                 : static_cast<uint8_t>(below(random, 4) * 85);
  }
  return bytes;
}

TEST(HostileBytes, SpoiledMessagesAreJudged) {
  Random random(2);
  const std::vector<Message> samples = sample_messages();
  for (int i = 0; i < 50000; ++i) {
    const Message& message = samples[below(random, samples.size())];
    check_accepted(spoiled(random, encode(kSampleEnvelope, message)));
  }
}

Message valid_or_not(Random& random, uint64_t i) {
  std::vector<Message> samples = sample_messages();
  Message message = samples[below(random, samples.size())];
  if (Announce* announce = std::get_if<Announce>(&message)) {
    for (Announcement& item : announce->full) {
      item.name = "t" + std::to_string(below(random, 3));
      item.signature.process_set = static_cast<uint32_t>(below(random, 2));
    }
    announce->cached = {static_cast<uint32_t>(below(random, 4))};
  }
  if (StoreSet* set = std::get_if<StoreSet>(&message))
    set->key += std::to_string(i % 5);
  return message;
}

// All ranks are told the same failures; who has finished, the first of them.
void expect_one_story(Cluster& cluster) {
  std::vector<PeerFailure> story;
  for (int rank = 0; rank < 4; ++rank)
    if (cluster.seen(rank).failures.size() > story.size())
      story = cluster.seen(rank).failures;
  for (int rank = 0; rank < 4; ++rank) {
    const std::vector<PeerFailure>& told = cluster.seen(rank).failures;
    const auto end = cluster.coordinator().finished(rank)
                         ? story.begin() + static_cast<ptrdiff_t>(told.size())
                         : story.end();
    EXPECT_EQ(told, std::vector<PeerFailure>(story.begin(), end)) << rank;
  }
}

// A rank that says anything at any time: the coordinator blames it once at most, tells all the
// same, and says nothing afterwards.
TEST(HostileBytes, ACoordinatorSurvivesAnything) {
  Random random(3);
  for (int run = 0; run < 300; ++run) {
    Cluster cluster(4);
    cluster.form();
    bool failed = false;
    for (uint64_t i = 1; i <= 60; ++i) {
      const int rank = static_cast<int>(below(random, 4));
      const Envelope envelope{
          .epoch = 1,
          .job = kJob,
          .incarnation = 1000U + static_cast<uint64_t>(rank),
          .seq = i + 1};
      Bytes bytes = encode(envelope, valid_or_not(random, i));
      if (below(random, 4) == 0)
        bytes = spoiled(random, std::move(bytes));
      const Actions actions = cluster.coordinator().on_frame(rank, bytes, kStart);
      EXPECT_TRUE(!failed || actions.empty());
      failed = cluster.coordinator().failed();
      cluster.act(actions);
    }
    cluster.flush();
    for (int rank = 0; rank < 4; ++rank)
      while (cluster.down_waiting(rank)) cluster.step_down(rank);
    expect_one_story(cluster);
  }
}

TEST(HostileBytes, AWorkerSurvivesAnything) {
  Random random(4);
  for (int run = 0; run < 2000; ++run) {
    Cluster cluster(4);
    cluster.form();
    cluster.announce(1, {tensor("t0", allreduce({2})), tensor("new", allreduce({2}))});
    size_t failures = 0;
    for (uint64_t i = 1; i <= 30; ++i) {
      const Envelope envelope{.epoch = 1, .job = kJob, .incarnation = 1000, .seq = i + 1};
      Message message = valid_or_not(random, i);
      if (Round* round = std::get_if<Round>(&message)) {
        round->number = 1 + below(random, 2);
        round->ready = {0, 7};
        round->details.erase(round->details.begin() + 1);
      }
      Bytes bytes = encode(envelope, message);
      if (below(random, 4) == 0)
        bytes = spoiled(random, std::move(bytes));
      for (const Action& action : cluster.worker(1).on_frame(bytes))
        if (const Fail* fail = std::get_if<Fail>(&action))
          failures += fail->failure.left ? 0 : 1;
    }
    EXPECT_LE(failures, 1U);
    EXPECT_LE(cluster.worker(1).cached(), small_limits(4).cache_capacity);
  }
}

}  // namespace
}  // namespace farandole::control

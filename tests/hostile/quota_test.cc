// A rank that holds the secret and goes beyond what a rank may: it is the one that is blamed, by
// name and on every other rank; and what it costs them in memory is bounded. Ranks 0 and 1 are
// real, rank 2 is played by the test.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/hostile/hostile_rank.h"

namespace farandole::hostile {
namespace {

Announcement named(const std::string& name) {
  Announcement tensor = tensor_of_worker();
  tensor.name = name;
  return tensor;
}

std::string numbered(size_t i) {
  return "x" + std::to_string(i);
}

// What rank 2 does, as long as it is listened to.
struct Excess {
  const char* name;
  std::function<void(RankClient&)> act;
  const char* said;
  std::map<std::string, std::string> settings = {};
};
void PrintTo(const Excess& excess, std::ostream* out) {
  *out << excess.name;
}

class Quota : public HostileRank, public testing::WithParamInterface<Excess> {};

TEST_P(Quota, OnlyWhoExceedsItIsBlamed) {
  RealJob job(setup(GetParam().settings));
  RankClient rank(job.facts(), 2);
  ASSERT_TRUE(rank.join());
  ASSERT_TRUE(job.wait_for(0, "ready"));
  ASSERT_TRUE(job.wait_for(1, "ready"));
  const size_t before[] = {resident_bytes(job.pid_of(0)), resident_bytes(job.pid_of(1))};
  GetParam().act(rank);
  expect_blame(job, GetParam().said);
  for (const int pid : {0, 1})
    EXPECT_LT(resident_bytes(job.pid_of(pid)), before[pid] + kMostGrowth) << "rank " << pid;
  job.release(2);
  const launch::JobResult result = job.launcher().wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

// What `message` is where `longest`, a text of it, is one byte longer than a sender that cuts it
// lets it be.
Bytes lengthened(RankClient& rank, const control::Message& message, const std::string& longest) {
  Bytes body = rank.encode(message);
  const auto text = std::search(body.begin(), body.end(), longest.begin(), longest.end());
  EXPECT_LT(text, body.end());
  *(text - sizeof(uint32_t)) += 1;  // of the length, which is even
  *(text + static_cast<ptrdiff_t>(longest.size())) = longest.back();
  return body;
}

const std::string kLongestCause(control::kMaxCauseBytes, 'c');
const std::string kLongestHost(control::kMaxTextBytes, 'h');

// A tensor as none of this job is: with a number more for its ranks than there are of them.
Announcement of_four(CollectiveKind kind, std::vector<int64_t> Signature::*numbers) {
  Announcement tensor = named("four");
  tensor.signature.kind = kind;
  tensor.signature.*numbers = {0, 1, 2, 3};
  return tensor;
}

// Beats without end, and in the end one that is too long: from then on it is listened to no more,
// whatever else it says.
void beat_too_much(RankClient& rank) {
  const Bytes beat = {2};
  for (int i = 0; i < 100000; ++i) ASSERT_TRUE(rank.send_beat(beat));
  rank.send_beat(Bytes(65));
  const TimePoint deadline = steady_now() + kPatience;
  while (steady_now() < deadline)
    if (!rank.send_beat(beat))
      return;
  ADD_FAILURE() << "its beats are listened to";
}

INSTANTIATE_TEST_SUITE_P(
    Rank,
    Quota,
    testing::Values(
        Excess{
            "name",
            [](RankClient& rank) {
              rank.send(control::Announce{{named(std::string(513, 'n'))}, {}});
            },
            "a name is too long"},
        Excess{
            "cause",
            [](RankClient& rank) {
              const control::Leave leave{kLongestCause};
              send_raw(rank, rank.frame_of(lengthened(rank, leave, kLongestCause)));
            },
            "a cause is too long"},
        Excess{
            "causeOfAReport",
            [](RankClient& rank) {
              const control::Report report{{.rank = 1, .cause = kLongestCause}};
              send_raw(rank, rank.frame_of(lengthened(rank, report, kLongestCause)));
            },
            "a cause is too long"},
        Excess{
            "hostOfAReport",
            [](RankClient& rank) {
              const control::Report report{{.rank = 1, .host = kLongestHost}};
              send_raw(rank, rank.frame_of(lengthened(rank, report, kLongestHost)));
            },
            "a host name is too long"},
        Excess{
            "splits",
            [](RankClient& rank) {
              rank.send(
                  control::Announce{{of_four(CollectiveKind::Alltoall, &Signature::splits)}, {}});
            },
            "there are more splits than ranks"},
        Excess{
            "operands",
            [](RankClient& rank) {
              rank.send(control::Announce{
                  {of_four(CollectiveKind::AddProcessSet, &Signature::operand)}, {}});
            },
            "there are more operands than ranks"},
        Excess{
            "storeKey",
            [](RankClient& rank) {
              rank.send(control::StoreSet{1, std::string(4097, 'k'), {}});
            },
            "a store key is too long"},
        Excess{
            "fullEntriesOfOneMessage",
            [](RankClient& rank) {
              control::Announce announce;
              for (size_t i = 0; i <= 1 << 16; ++i) announce.full.push_back(named(numbered(i)));
              rank.send(announce);
            },
            "too many tensors"},
        Excess{
            "dimensions",
            [](RankClient& rank) {
              Announcement tensor = named("deep");
              tensor.signature.shape.assign(65, 1);
              rank.send(control::Announce{{tensor}, {}});
            },
            "a shape has too many dimensions"},
        Excess{
            "tensorsInFlight",
            [](RankClient& rank) {
              control::Announce announce;
              for (size_t i = 0; i < 1001; ++i) announce.full.push_back(named(numbered(i)));
              rank.send(announce);
            },
            "announced more than 1000 tensors at once",
            {{"FARANDOLE_MAX_PENDING", "1000"}}},
        Excess{
            "sameTensorTwice",
            [](RankClient& rank) {
              rank.send(control::Announce{{named("x"), named("x")}, {}});
            },
            "announced \"x\" twice while in flight"},
        Excess{
            "unknownId",
            [](RankClient& rank) {
              rank.send(control::Announce{{}, {77}});
            },
            "announced id 77, which nothing ever had"},
        Excess{
            "entriesOfOneMessage",
            [](RankClient& rank) {
              rank.send(control::Announce{{}, std::vector<uint32_t>((1 << 16) + 1, 1)});
            },
            "too many ids"},
        Excess{
            "storeBytes",
            [](RankClient& rank) {
              for (size_t i = 0; i < 20; ++i)
                rank.send(control::StoreSet{i, numbered(i), Bytes(1 << 20)});
            },
            "put more than 16777216 bytes into the store"},
        Excess{
            "storeValueOfOneMessage",
            [](RankClient& rank) {
              rank.send(control::StoreSet{1, "k", Bytes(65537)});
            },
            "a store value is too large",
            {{"FARANDOLE_STORE_BYTES", "65536"}}},
        Excess{
            "storeKeys",
            [](RankClient& rank) {
              for (size_t i = 0; i <= 1 << 16; ++i)
                rank.send(control::StoreSet{i, numbered(i), {}});
            },
            "put more than 65536 keys into the store"},
        Excess{
            "storeGets",
            [](RankClient& rank) {
              for (size_t i = 0; i <= 1 << 12; ++i)
                rank.send(control::StoreGet{i, std::string(4000, 'k') + numbered(i)});
            },
            "waits for more than 4096 store keys"},
        Excess{
            "storeRequestTwice",
            [](RankClient& rank) {
              rank.send(control::StoreGet{1, "a"});
              rank.send(control::StoreGet{1, "b"});
            },
            "used store request 1 twice"},
        Excess{
            "messageSize",
            [](RankClient& rank) {
              send_raw(rank, {0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0});
            },
            "a frame of 4294967295 bytes came; at most 16777216 are taken"},
        Excess{
            "messageThatNeverEnds",
            [](RankClient& rank) {
              send_raw(rank, {0x01, 0, 0, 0, 0, 0, 0, 0});  // the largest there may be
              send_raw(rank, Bytes(1000));
              rank.wire().finish_sending();
            },
            "connection closed"},
        Excess{
            "answersNotRead",
            [](RankClient& rank) {
              rank.send(control::StoreSet{0, "k", Bytes(1 << 20)});
              for (size_t i = 1; i < 200; ++i)
                if (!rank.send(control::StoreGet{i, "k"}))
                  break;
            },
            "it does not read: "},
        Excess{
            "malformed",
            [](RankClient& rank) { send_raw(rank, rank.frame_of(Bytes(100, 0xEE))); },
            "broke the protocol: it sent a malformed message: 100 bytes that are no message"},
        // Each is answered to all ranks; none of them falls behind for that.
        Excess{
            "operationsThatCannotBe",
            [](RankClient& rank) {
              control::Announce announce;
              for (size_t i = 0; i < 5000; ++i) {
                announce.full.push_back(named(numbered(i)));
                announce.full.back().signature.process_set = 9;
              }
              for (int i = 0; i < 20; ++i) rank.send(announce);
              send_raw(rank, rank.frame_of(Bytes(100, 0xEE)));
            },
            "broke the protocol: it sent a malformed message"},
        Excess{
            "answerToNoQuestion",
            [](RankClient& rank) {
              rank.send(control::Answer{1, "here"});
            },
            "answered question 1, which it was not asked"},
        Excess{
            "answerThatIsTooLong",
            [](RankClient& rank) {
              rank.send(control::Answer{1, std::string(16385, 'a')});
            },
            "an answer is too long"},
        Excess{
            "heartbeats",
            beat_too_much,
            "no heartbeat for ",
            {{"FARANDOLE_HEARTBEAT_TIMEOUT", "5"}}},
        Excess{
            "joinAgain",
            [](RankClient& rank) { rank.send(rank.join_message()); },
            "broke the protocol"},
        Excess{
            "alteredFrame",
            [](RankClient& rank) {
              Bytes frame = rank.frame_of(rank.encode(control::StoreGet{1, "key"}));
              frame[frame.size() / 2] ^= 1;
              send_raw(rank, frame);
            },
            "a frame came that the peer did not send"},
        Excess{
            "repeatedFrame",
            [](RankClient& rank) {
              const Bytes frame = rank.frame_of(rank.encode(control::StoreGet{1, "key"}));
              send_raw(rank, frame);
              send_raw(rank, frame);
            },
            "a frame came that the peer did not send"},
        Excess{
            "frameOfTheOtherDirection",
            [](RankClient& rank) {
              net::FrameSealer server(rank.keys().receive);
              Bytes frame;
              net::append_frame(frame, server, rank.encode(control::Leave{}));
              send_raw(rank, frame);
            },
            "a frame came that the peer did not send"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace farandole::hostile

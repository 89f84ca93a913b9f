// A rank that holds the secret and goes beyond what a rank may: it is the one that is blamed, by
// name and on every other rank; and what it costs them in memory is bounded. Ranks 0 and 1 are
// real, rank 2 is played by the test.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/hostile/rank_client.h"

namespace farandole::hostile {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr size_t kMostGrowth = (kSanitized ? 1024 : 64) * (size_t{1} << 20);

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

class HostileRank : public testing::Test {
 protected:
  static RealJob::Setup setup(std::map<std::string, std::string> settings) {
    settings.emplace("FARANDOLE_HEARTBEAT_TIMEOUT", "60");
    return {.ranks = 3, .arguments = {"played=2"}, .environment = std::move(settings)};
  }
  static void expect_blame(RealJob& job, const std::string& why) {
    for (const int rank : {0, 1}) {
      ASSERT_TRUE(job.wait_for(rank, "error: ")) << job.out() << job.launcher().err();
      const std::string line = job.line(rank, "error: ");
      EXPECT_THAT(line, HasSubstr("error: PeerLost culprit 2: allreduce \"t\": rank 2 (host "));
      EXPECT_THAT(line, HasSubstr(") was lost: "));
      EXPECT_THAT(line, HasSubstr(why));
    }
  }
};

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

void send_raw(RankClient& rank, const Bytes& bytes) {
  rank.wire().send(bytes);
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

// Frames that are sealed as they should be but speak of another job, epoch or process, or come
// again, have no effect at all: the job waits for rank 2 as before.
TEST_F(HostileRank, MessagesOfAnotherJobEpochProcessOrTimeAreDropped) {
  RealJob job(setup({}));
  RankClient rank(job.facts(), 2);
  ASSERT_TRUE(rank.join());
  ASSERT_TRUE(job.wait_for(0, "ready"));
  const control::Envelope own = rank.next_envelope();
  std::vector<control::Envelope> foreign(4, own);
  foreign[0].job ^= 1;
  foreign[1].epoch += 1;
  foreign[2].incarnation += 1;
  foreign[3].seq = 1;
  for (const control::Envelope& envelope : foreign)
    send_raw(rank, rank.frame_of(control::encode(envelope, control::Leave{})));
  // Were one of them believed, rank 2 would have left, and its store would not answer.
  EXPECT_TRUE(rank.send(control::StoreSet{99, "key", {'v'}}));
  EXPECT_EQ(rank.store_get("key"), "v");
  EXPECT_EQ(job.line(0, "error: "), "");
  rank.send(control::Leave{});
  ASSERT_TRUE(job.wait_for(1, "error: "));
  EXPECT_THAT(job.line(1, "error: "), HasSubstr("left the job"));
  job.release(2);
}

// While the group forms, one who proves the secret again and again replaces itself.
TEST_F(HostileRank, ManyHandshakesOfOneRankAreOneRank) {
  RealJob job({.arguments = {"held=1"}});
  ASSERT_TRUE(job.wait_for_listener());
  const auto open_files = [&job] {
    const auto folder = "/proc/" + std::to_string(job.pid_of(0)) + "/fd";
    return static_cast<size_t>(std::distance(
        std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
  };
  const size_t files = open_files();
  const size_t before = resident_bytes(job.pid_of(0));
  std::vector<net::Established> all;
  for (int i = 0; i < 500; ++i) {
    net::ConnectSpec spec{job.facts().controller, client_params(job.facts(), 1), kPatience};
    auto connected = net::connect_to(spec, steady_now() + kPatience);
    ASSERT_TRUE(connected) << connected.status().message();
    all.push_back(std::move(connected).value());
  }
  EXPECT_LE(open_files(), files + 8);
  EXPECT_LT(resident_bytes(job.pid_of(0)), before + kMostGrowth / 4);
  all.clear();
  job.release(1);
  ASSERT_TRUE(job.wait_for(1, "ready"));
  EXPECT_EQ(job.stop().exit_code, 0);
}

// Every byte of the first frame of a rank whose connection somebody alters: no welcome.
TEST_F(HostileRank, EveryFlippedByteOfAFrameIsRefused) {
  RealJob job({.arguments = {"held=1"}, .environment = {{"FARANDOLE_HEARTBEAT_TIMEOUT", "60"}}});
  ASSERT_TRUE(job.wait_for_listener());
  size_t size = 1;
  for (size_t at = 0; at < size; ++at) {
    RankClient rank(job.facts(), 1);
    Bytes frame = rank.frame_of(rank.encode(rank.join_message()));
    size = frame.size();
    frame[at] = static_cast<uint8_t>(frame[at] ^ (1U << (at % 8)));
    rank.wire().send(frame);
    rank.wire().finish_sending();
    ASSERT_EQ(rank.wire().receive_to_end(), Bytes())
        << "byte " << at << " of " << size << job.launcher().err();
  }
  EXPECT_GT(size, 500U);
  job.release(1);
  ASSERT_TRUE(job.wait_for(1, "ready"));
  EXPECT_EQ(job.stop().exit_code, 0);
}

// What a rank says of itself and of others is shown to people: escaped, in one line.
TEST_F(HostileRank, TextsOfARankAreShownEscaped) {
  RealJob job(setup({}));
  std::optional<RankClient> rank(std::in_place, job.facts(), 2);
  control::Join join = rank->join_message();
  join.member.host = "h\x1b]0;x\x07\n[0] fine";
  ASSERT_TRUE(rank->join(join));
  ASSERT_TRUE(job.wait_for(0, "ready"));
  rank->send(control::Report{{.rank = 2, .cause = "gone\n[0] fine\x1b[2J\xff"}});
  expect_blame(job, "gone\\x0a[0] fine\\x1b[2J\\xff");
  rank.reset();
  job.release(2);
  const launch::JobResult result = job.launcher().wait();
  for (const std::string& text : {result.out, result.err}) {
    EXPECT_THAT(text, Not(HasSubstr("\x1b")));
    EXPECT_THAT(text, Not(HasSubstr("\n[0] fine")));
  }
}

}  // namespace
}  // namespace farandole::hostile

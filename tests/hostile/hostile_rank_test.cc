// A rank that holds the secret and speaks out of turn, under another name or for another one: it
// has no effect, or is refused, and it is the one that is blamed.

#include "tests/hostile/hostile_rank.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>

namespace farandole::hostile {
namespace {

using testing::HasSubstr;
using testing::Not;

// A frame that is what this rank would send next, but under the key of another one.
TEST_F(HostileRank, AFrameUnderTheKeyOfAnotherRankIsRefused) {
  RealJob job(
      {.ranks = 3,
       .arguments = {"played=2", "held=1"},
       .environment = {{"FARANDOLE_HEARTBEAT_TIMEOUT", "60"}}});
  const net::SessionKeys others = RankClient(job.facts(), 1).keys();
  job.release(1);
  RankClient rank(job.facts(), 2);
  ASSERT_TRUE(rank.join());
  ASSERT_TRUE(job.wait_for(1, "ready"));
  const auto sealed = [&rank](
                          const net::SessionKeys& keys, int sent, const control::Message& says) {
    net::FrameSealer sealer(keys.send);
    Bytes frame;
    for (int i = 0; i < sent; ++i) net::append_frame(frame, sealer, {});
    frame.clear();
    net::append_frame(frame, sealer, rank.encode(says));
    return frame;
  };
  send_raw(rank, sealed(rank.keys(), 1, control::StoreSet{1, "key", {}}));
  const auto answer = rank.receive();
  ASSERT_TRUE(answer && std::holds_alternative<control::StoreValue>(*answer)) << "its own counts";
  send_raw(rank, sealed(others, 2, control::Leave{}));
  expect_blame(job, "a frame came that the peer did not send");
  job.release(2);
}

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

// What a rank may not say when it joins: nobody starts, and all hear who it was.
struct BadJoin {
  const char* name;
  std::function<void(control::Join&)> spoil;
  const char* said;
};
void PrintTo(const BadJoin& join, std::ostream* out) {
  *out << join.name;
}

class JoinQuota : public HostileRank, public testing::WithParamInterface<BadJoin> {};

TEST_P(JoinQuota, OnlyWhoExceedsItIsBlamed) {
  RealJob job(
      {.ranks = 3,
       .arguments = {"played=2", "held=1"},
       .environment = {{"FARANDOLE_HEARTBEAT_TIMEOUT", "60"}}});
  RankClient honest(job.facts(), 1);
  honest.send(honest.join_message());
  RankClient rank(job.facts(), 2);
  const size_t before = resident_bytes(job.pid_of(0));
  control::Join join = rank.join_message();
  GetParam().spoil(join);
  rank.send(join);
  const std::string said = std::string("rank 2 ") + GetParam().said;
  for (RankClient* each : {&honest, &rank}) {
    const auto answer = each->receive();
    ASSERT_TRUE(answer && std::holds_alternative<control::Refuse>(*answer));
    EXPECT_EQ(std::get<control::Refuse>(*answer).why, Status(Code::PeerLost, said).blame(2));
  }
  ASSERT_TRUE(job.wait_for(0, "not started: ")) << job.out() << job.launcher().err();
  EXPECT_EQ(job.line(0, "not started: "), "not started: PeerLost culprit 2: " + said);
  EXPECT_LT(resident_bytes(job.pid_of(0)), before + kMostGrowth);
}

INSTANTIATE_TEST_SUITE_P(
    Rank,
    JoinQuota,
    testing::Values(
        BadJoin{
            "host",
            [](control::Join& join) { join.member.host.assign(4097, 'h'); },
            "joined with a malformed message: a host name is too long"},
        BadJoin{
            "address",
            [](control::Join& join) { join.member.address.assign(4097, 'a'); },
            "joined with a malformed message: an address is too long"},
        BadJoin{
            "settingsName",
            [](control::Join& join) { join.settings[0].name.assign(4097, 'n'); },
            "joined with a malformed message: a setting is too long"},
        BadJoin{
            "settingsValue",
            [](control::Join& join) { join.settings[0].value.assign(4097, 'v'); },
            "joined with a malformed message: a setting is too long"},
        BadJoin{
            "settings",
            [](control::Join& join) { join.settings.resize(65); },
            "joined with a malformed message: too many settings"},
        BadJoin{
            "anotherRank",
            [](control::Join& join) { join.member.rank = 1; },
            "says that it is rank 1"}),
    [](const auto& info) { return info.param.name; });

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

#include "core/net/auth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "tests/net/hex.h"

namespace farandole::net {
namespace {

using testing::HasSubstr;

Secret secret_of(uint8_t fill) {
  return Secret(Bytes(32, fill));
}

ClientParams client_params() {
  ClientParams params;
  params.secret = secret_of(1);
  params.hello = {"job-a", "", Role::Control, 3, 0, 7, 0x1122334455667788};
  return params;
}

// A server as the coordinator is one: for one job, role, size of 4 and generation 7.
ServerParams server_params() {
  ServerParams params;
  params.secret = secret_of(1);
  params.generation = 7;
  params.incarnation = 42;
  params.admit = [](const Hello& hello) {
    if (hello.job != "job-a")
      return Verdict::Job;
    if (hello.role != Role::Control)
      return Verdict::Role;
    if (hello.rank == 0 || hello.rank >= 4)
      return Verdict::Rank;
    if (hello.generation > 7)
      return Verdict::NotYet;
    return hello.generation == 7 ? Verdict::Admit : Verdict::Generation;
  };
  return params;
}

struct Pair {
  explicit Pair(ClientParams c = client_params(), ServerParams s = server_params())
      : client(Handshake::client(std::move(c))), server(Handshake::server(std::move(s))) {}
  void run() {
    server.feed(client.output());
    client.feed(server.output());
    server.feed(client.output());
    client.feed(server.output());
  }
  Handshake client;
  Handshake server;
};

TEST(Handshake, ProvesBothEndsAndGivesMatchingKeys) {
  Pair pair;
  pair.run();
  ASSERT_TRUE(pair.client.succeeded()) << pair.client.status().to_string();
  ASSERT_TRUE(pair.server.succeeded()) << pair.server.status().to_string();
  EXPECT_EQ(pair.server.hello(), client_params().hello);
  EXPECT_EQ(pair.client.server_incarnation(), 42u);
  EXPECT_EQ(pair.client.version(), 1);
  const SessionKeys client = pair.client.keys();
  const SessionKeys server = pair.server.keys();
  EXPECT_TRUE(std::ranges::equal(client.send.bytes(), server.receive.bytes()));
  EXPECT_TRUE(std::ranges::equal(client.receive.bytes(), server.send.bytes()));
  EXPECT_FALSE(std::ranges::equal(client.send.bytes(), client.receive.bytes()));
}

TEST(Handshake, WorksWhateverTheSplit) {
  Pair pair;
  const auto dribble = [](Handshake& from, Handshake& to) {
    for (const uint8_t byte : from.output()) EXPECT_EQ(to.feed({&byte, 1}), 1u);
  };
  dribble(pair.client, pair.server);
  dribble(pair.server, pair.client);
  dribble(pair.client, pair.server);
  dribble(pair.server, pair.client);
  EXPECT_TRUE(pair.client.succeeded());
  EXPECT_TRUE(pair.server.succeeded());
}

TEST(Handshake, LeavesWhatFollowsItAlone) {
  Pair pair;
  pair.server.feed(pair.client.output());
  pair.client.feed(pair.server.output());
  Bytes proof_and_frames = pair.client.output();
  const size_t proof = proof_and_frames.size();
  proof_and_frames.resize(proof + 100);
  EXPECT_EQ(pair.server.wants(), proof);
  EXPECT_EQ(pair.server.feed(proof_and_frames), proof);
  EXPECT_TRUE(pair.server.succeeded());
  EXPECT_EQ(pair.server.wants(), 0u);
  Bytes admitted_and_frames = pair.server.output();
  admitted_and_frames.resize(admitted_and_frames.size() + 100);
  EXPECT_EQ(pair.client.feed(admitted_and_frames), 1u);
  EXPECT_TRUE(pair.client.succeeded());
}

// Until it hears that its proof was taken, it may be that nobody serves it.
TEST(Handshake, AClientWaitsToBeAdmitted) {
  Pair pair;
  pair.server.feed(pair.client.output());
  EXPECT_FALSE(pair.client.awaits_admission());
  pair.client.feed(pair.server.output());
  const Bytes proof = pair.client.output();
  EXPECT_TRUE(pair.client.awaits_admission());
  EXPECT_FALSE(pair.client.done());
  EXPECT_TRUE(pair.server.output().empty()) << "before the proof";
  pair.server.feed(proof);
  pair.client.feed(pair.server.output());
  EXPECT_FALSE(pair.client.awaits_admission());
  EXPECT_TRUE(pair.client.succeeded());
}

TEST(Handshake, EveryFlippedByteIsRefused) {
  Pair sample;
  const size_t hello = sample.client.output().size();
  const std::array<size_t, 4> sizes = {hello, 90, 32, 1};
  for (size_t message = 0; message < sizes.size(); ++message) {
    const size_t bytes = sizes[message];
    for (size_t at = 0; at < bytes; ++at) {
      Pair pair;
      const auto pass = [&](Handshake& from, Handshake& to, bool flip) {
        Bytes out = from.output();
        if (flip) {
          ASSERT_EQ(out.size(), bytes);
          out[at] ^= 0x01;
        }
        to.feed(out);
      };
      pass(pair.client, pair.server, message == 0);
      pass(pair.server, pair.client, message == 1);
      pass(pair.client, pair.server, message == 2);
      pass(pair.server, pair.client, message == 3);
      EXPECT_FALSE(pair.client.succeeded()) << "message " << message << " byte " << at;
      // The last message is the server's own.
      EXPECT_EQ(pair.server.succeeded(), message == 3) << "message " << message << " byte " << at;
    }
  }
}

TEST(Handshake, TruncatedMessagesNeverSucceed) {
  for (size_t cut = 0; cut < 90; ++cut) {
    Pair pair;
    const Bytes hello = pair.client.output();
    if (cut < hello.size()) {
      pair.server.feed(ByteSpan(hello).first(cut));
      EXPECT_TRUE(pair.server.output().empty());
      EXPECT_FALSE(pair.server.done());
      continue;
    }
    pair.server.feed(hello);
    const Bytes challenge = pair.server.output();
    pair.client.feed(ByteSpan(challenge).first(cut));
    EXPECT_FALSE(pair.client.done());
    EXPECT_TRUE(pair.client.output().empty());
  }
}

TEST(Handshake, ReplayedClientIsRefused) {
  Pair first;
  const Bytes hello = first.client.output();
  first.server.feed(hello);
  first.client.feed(first.server.output());
  const Bytes proof = first.client.output();
  first.server.feed(proof);
  ASSERT_TRUE(first.server.succeeded());

  Handshake again = Handshake::server(server_params());
  again.feed(hello);
  again.feed(proof);
  EXPECT_TRUE(again.done());
  EXPECT_EQ(again.status().code(), Code::Mismatch);
  EXPECT_THAT(again.status().message(), HasSubstr("rank 3 could not prove the job's secret"));
}

TEST(Handshake, ReplayedServerIsRefused) {
  Pair first;
  first.server.feed(first.client.output());
  const Bytes challenge = first.server.output();
  Handshake again = Handshake::client(client_params());
  again.feed(challenge);
  EXPECT_TRUE(again.done());
  EXPECT_EQ(again.status().code(), Code::Mismatch);
}

// A server that knows no secret gives the client its own words back, or those of another client.
TEST(Handshake, ReflectionIsRefused) {
  Pair pair;
  Handshake other = Handshake::client(client_params());
  const Bytes hello = pair.client.output();
  Bytes echo = hello;
  echo.resize(90);
  pair.client.feed(echo);
  EXPECT_FALSE(pair.client.succeeded());
  EXPECT_FALSE(pair.client.status().is_ok());

  // The server's own MAC, sent back as a proof.
  Handshake server = Handshake::server(server_params());
  server.feed(other.output());
  const Bytes challenge = server.output();
  server.feed(ByteSpan(challenge).last(32));
  EXPECT_EQ(server.status().code(), Code::Mismatch);
}

struct Refusal {
  const char* name;
  std::function<void(ClientParams&)> change;
  const char* said_by_client;
};

class Refused : public testing::TestWithParam<Refusal> {};

TEST_P(Refused, OnBothEndsWithTheReason) {
  ClientParams params = client_params();
  GetParam().change(params);
  Pair pair(std::move(params));
  pair.run();
  EXPECT_TRUE(pair.client.done());
  EXPECT_EQ(pair.client.status().code(), Code::Mismatch);
  EXPECT_THAT(pair.client.status().message(), HasSubstr(GetParam().said_by_client));
  EXPECT_FALSE(pair.server.succeeded());
}

INSTANTIATE_TEST_SUITE_P(
    Handshake,
    Refused,
    testing::Values(
        Refusal{"secret", [](auto& p) { p.secret = secret_of(2); }, "do not hold the same secret"},
        Refusal{"job", [](auto& p) { p.hello.job = "job-b"; }, "serves another job, not \"job-b\""},
        Refusal{
            "job_and_secret",
            [](auto& p) {
              p.hello.job = "job-b";
              p.secret = secret_of(2);
            },
            "serves another job"},
        Refusal{"role", [](auto& p) { p.hello.role = Role::Data; }, "takes no data connections"},
        Refusal{"rank", [](auto& p) { p.hello.rank = 4; }, "does not expect rank 4"},
        Refusal{"old", [](auto& p) { p.hello.generation = 6; }, "generation 6 of the job is over"},
        Refusal{"new", [](auto& p) { p.hello.generation = 8; }, "still in generation 7"},
        Refusal{
            "version",
            [](auto& p) {
              p.versions = {2, 3};
            },
            "this rank speaks protocol version 2 to 3, the peer 1"}),
    [](const auto& info) { return info.param.name; });

TEST(Handshake, OnlyAnAuthenticatedNotYetInvitesARetry) {
  ClientParams params = client_params();
  params.hello.generation = 8;
  Pair pair(params);
  pair.run();
  EXPECT_TRUE(pair.client.not_yet());

  params.secret = secret_of(2);
  Pair stranger(params);
  stranger.run();
  EXPECT_FALSE(stranger.client.not_yet());
}

TEST(Handshake, ServerNamesBothVersions) {
  ClientParams params = client_params();
  params.versions = {2, 3};
  Pair pair(params);
  pair.run();
  EXPECT_EQ(pair.server.status().message(), "the peer speaks protocol version 2 to 3, this rank 1");
}

TEST(Handshake, OverlappingVersionsMeetAtTheHighest) {
  ClientParams params = client_params();
  params.versions = {1, 5};
  ServerParams server = server_params();
  server.versions = {1, 3};
  Pair pair(params, server);
  pair.run();
  EXPECT_TRUE(pair.server.succeeded());
  EXPECT_EQ(pair.client.version(), 3);
  EXPECT_EQ(pair.server.version(), 3);
}

TEST(Handshake, JunkIsRefusedAtItsFirstByteWithoutAnAnswer) {
  Handshake server = Handshake::server(server_params());
  const std::string junk = "GET / HTTP/1.1\r\n";
  EXPECT_EQ(server.feed(as_bytes(junk)), 10u);
  EXPECT_TRUE(server.done());
  EXPECT_EQ(server.status().code(), Code::InvalidArgument);
  EXPECT_TRUE(server.output().empty());
}

TEST(Handshake, ALengthBeyondTheBoundIsNotBelieved) {
  Pair pair;
  for (const size_t length : {0x0000, 0x0009, 0x01E1, 0x0201, 0xFFFF}) {
    Handshake client = Handshake::client(client_params());
    Handshake server = Handshake::server(server_params());
    Bytes hello = client.output();
    hello[4] = static_cast<uint8_t>(length >> 8);
    hello[5] = static_cast<uint8_t>(length);
    EXPECT_EQ(server.feed(hello), 10u);
    EXPECT_TRUE(server.done()) << length;
    EXPECT_TRUE(server.output().empty());
  }
}

TEST(Handshake, LongestHelloFitsTheBound) {
  ClientParams params = client_params();
  params.hello.job = std::string(kMaxJobBytes, 'j');
  params.hello.group = std::string(kMaxGroupBytes, 'g');
  ServerParams server = server_params();
  server.admit = [](const Hello&) { return Verdict::Admit; };
  Pair pair(params, server);
  const Bytes hello = pair.client.output();
  EXPECT_LE(hello.size() + kDigestBytes, kMaxUnauthenticatedBytes);
  pair.server.feed(hello);
  pair.client.feed(pair.server.output());
  pair.server.feed(pair.client.output());
  EXPECT_TRUE(pair.server.succeeded());
  EXPECT_EQ(pair.server.hello(), params.hello);

  params.hello.group += 'g';
  EXPECT_EQ(Handshake::client(params).status().code(), Code::InvalidArgument);
}

TEST(Handshake, WantsASecret) {
  ClientParams client = client_params();
  client.secret = Secret();
  EXPECT_EQ(Handshake::client(client).status().code(), Code::InvalidArgument);
  ServerParams server = server_params();
  server.secret = Secret();
  EXPECT_EQ(Handshake::server(server).status().code(), Code::InvalidArgument);
}

// The bytes on the wire are a format: they change with the version only. The MACs and the key were
// computed with another implementation (Python's hmac).
TEST(Handshake, BytesOfVersionOne) {
  ClientParams params = client_params();
  params.nonce = Nonce{9};
  ServerParams server = server_params();
  server.nonce = Nonce{8};
  Pair pair(params, server);
  const Bytes hello = pair.client.output();
  pair.server.feed(hello);
  const Bytes challenge = pair.server.output();
  pair.client.feed(challenge);
  const Bytes proof = pair.client.output();
  pair.server.feed(proof);
  const Bytes admitted = pair.server.output();
  const std::string zeros(62, '0');
  EXPECT_EQ(
      hex(hello),
      "46444c48004700010001"
      "0100"
      "00000003"
      "00000000"
      "00000007"
      "1122334455667788"
      "09" +
          zeros +
          "05"
          "6a6f622d61"
          "00");
  EXPECT_EQ(
      hex(ByteSpan(challenge).first(58)),
      "46444c43005a0001"
      "00"
      "00"
      "00010001"
      "00000007"
      "000000000000002a"
      "08" +
          zeros);
  EXPECT_EQ(
      hex(ByteSpan(challenge).last(32)),
      "825a8b31c83401ba3a42689497a34e9735b1639b352ac027595492fd09c0f348");
  EXPECT_EQ(hex(proof), "485cc328fa00622e23d52ecb024bfded69512ea99505b41bbc3ad5b28dbded89");
  EXPECT_EQ(hex(admitted), "06");
  EXPECT_EQ(
      hex(pair.client.keys().send.bytes()),
      "4e8667c9bc180254508b17c1173e50c38ddbf5d927ed0af24026961dfd574150");
}

}  // namespace
}  // namespace farandole::net

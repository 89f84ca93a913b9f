// Strangers at the data port of a real rank while its Gloo group forms: the test plays rank 1,
// hears over the control connection where rank 0 listens, lets strangers go there first, and comes
// last.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/hostile/rank_client.h"

namespace farandole::hostile {
namespace {

using net::Handshake;
using testing::HasSubstr;

constexpr const char* kGroup = "g0.e1";

class DataPort : public testing::Test {
 protected:
  DataPort()
      : job_(
            {.arguments = {"played=1"},
             .environment =
                 {{"FARANDOLE_COMMUNICATOR", "gloo"}, {"FARANDOLE_HEARTBEAT_TIMEOUT", "60"}}}),
        rank_(job_.facts(), 1) {
    EXPECT_TRUE(rank_.join());
    rank_.send(control::Announce{{tensor_of_worker()}, {}});
    const auto address = rank_.store_get(std::string(kGroup) + "/gloo/0");
    if (!address)
      throw std::runtime_error("rank 0 does not form its group");
    at_ = net::Endpoint::parse(*address).value();
  }
  // The true rank 1 is admitted all the same.
  void TearDown() override {
    Handshake client = Handshake::client(params());
    const WireClient wire = connect();
    wire.send(client.output());
    client.feed(wire.receive(kChallengeBytes));
    wire.send(client.output());
    client.feed(wire.receive(1));
    EXPECT_TRUE(client.succeeded()) << client.status().message();
    // Its listener closes a moment after that byte, and lets go whoever came until then.
    while (const auto late = WireClient::connect(at_)) ASSERT_TRUE(late->receive_to_end());
    EXPECT_EQ(listening_sockets(job_.pid_of(0)), std::vector<std::string>()) << "once formed";
    job_.release(1);
  }

  net::ClientParams params() const {
    net::ClientParams params = client_params(job_.facts(), 1, net::Role::Data);
    params.hello.group = kGroup;
    params.hello.incarnation = 0;
    return params;
  }
  WireClient connect() const {
    auto client = WireClient::connect(at_);
    if (!client)
      throw std::runtime_error("nobody listens any more");
    return std::move(*client);
  }
  // What a client whose hello was changed hears.
  std::string refusal(const std::function<void(net::ClientParams&)>& change) const {
    net::ClientParams changed = params();
    change(changed);
    Handshake client = Handshake::client(std::move(changed));
    const WireClient wire = connect();
    wire.send(client.output());
    client.feed(wire.receive(kChallengeBytes));
    wire.send(Bytes(kProofBytes, 1));
    EXPECT_EQ(wire.receive_to_end(), Bytes());
    return client.status().message();
  }

  RealJob job_;
  RankClient rank_;
  net::Endpoint at_;
};

TEST_F(DataPort, IsBoundToOneAddress) {
  EXPECT_EQ(at_.host, "127.0.0.1");
  const std::vector<std::string> open = listening_sockets(job_.pid_of(0));
  EXPECT_EQ(open.size(), 1U) << "the controller's has closed, and no other is open";
}

TEST_F(DataPort, StrangersAreRefusedAsAtTheControllersPort) {
  EXPECT_THAT(
      refusal([](auto& p) { p.secret = Secret(Bytes(32, 9)); }), HasSubstr("the same secret"));
  EXPECT_THAT(refusal([](auto& p) { p.hello.job = "other"; }), HasSubstr("another job"));
  EXPECT_THAT(refusal([](auto& p) { p.hello.group = "g0.e2"; }), HasSubstr("no group \"g0.e2\""));
  EXPECT_THAT(refusal([](auto& p) { p.hello.rank = 0; }), HasSubstr("does not expect rank 0"));
  EXPECT_THAT(refusal([](auto& p) { p.hello.rank = 7; }), HasSubstr("does not expect rank 7"));
  EXPECT_THAT(refusal([](auto& p) { p.hello.to_rank = 1; }), HasSubstr("does not expect"));
  EXPECT_THAT(refusal([](auto& p) { p.hello.role = net::Role::Control; }), HasSubstr("no control"));
  EXPECT_THAT(
      refusal([](auto& p) {
        p.versions = {2, 2};
      }),
      HasSubstr("this rank speaks protocol version 2, the peer 1"));
}

TEST_F(DataPort, PortScannersGetNoAnswer) {
  for (const char* text : {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02", "Fdg1", "", "FDLC"}) {
    const WireClient scanner = connect();
    scanner.send(text);
    scanner.finish_sending();
    EXPECT_EQ(scanner.receive_to_end(), Bytes()) << text;
  }
  for (int i = 0; i < 100; ++i) {
    WireClient gone = connect();
    if (i % 2 == 0)
      gone.reset();
  }
}

TEST_F(DataPort, EveryFlippedByteOfAHandshakeIsRefused) {
  const size_t hello_bytes = Handshake::client(params()).output().size();
  for (size_t at = 0; at < hello_bytes + kProofBytes; ++at) {
    Handshake client = Handshake::client(params());
    Bytes hello = client.output();
    const WireClient wire = connect();
    if (at < hello_bytes)
      hello[at] = static_cast<uint8_t>(hello[at] ^ (1U << (at % 8)));
    wire.send(hello);
    if (at < hello_bytes)
      wire.finish_sending();
    client.feed(wire.receive(kChallengeBytes));
    EXPECT_EQ(client.awaits_admission(), at >= hello_bytes) << at;
    if (at >= hello_bytes) {
      Bytes proof = client.output();
      proof[at - hello_bytes] = static_cast<uint8_t>(proof[at - hello_bytes] ^ (1U << (at % 8)));
      wire.send(proof);
    }
    EXPECT_EQ(wire.receive_to_end(), Bytes()) << "taken in although byte " << at << " was altered";
  }
}

// What the ranks of another user's job would find, and of another job of the same user.
TEST_F(DataPort, AReplayedSessionIsRefused) {
  Handshake client = Handshake::client(params());
  const Bytes hello = client.output();
  {
    const WireClient overheard = connect();
    overheard.send(hello);
    client.feed(overheard.receive(kChallengeBytes));
  }
  const Bytes proof = client.output();
  const WireClient again = connect();
  again.send(hello);
  EXPECT_EQ(again.receive(kChallengeBytes).size(), kChallengeBytes);
  again.send(proof);
  EXPECT_EQ(again.receive_to_end(), Bytes());
}

}  // namespace
}  // namespace farandole::hostile

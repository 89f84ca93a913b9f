// Who does not hold the job's secret, at the controller's port of a job that forms: nothing of what
// they say has an effect, and the job forms as if they had not been there.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "tests/hostile/rank_client.h"

namespace farandole::hostile {
namespace {

using namespace std::chrono_literals;
using net::Handshake;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Rank 0 listens; rank 1 comes when the strangers are done.
class Strangers : public testing::Test {
 protected:
  Strangers() : job_({.arguments = {"held=1"}}) {
    EXPECT_TRUE(job_.wait_for(1, "waits"));
    EXPECT_TRUE(job_.wait_for_listener());
  }
  ~Strangers() override {
    const TimePoint now = steady_now();
    job_.release(1);
    EXPECT_TRUE(job_.wait_for(0, "ready"));
    EXPECT_TRUE(job_.wait_for(1, "ready"));
    const launch::JobResult result = job_.stop();
    EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
    EXPECT_EQ(launch::count_of(result.out, "] done"), 2U) << result.out;
    const auto seconds = std::chrono::duration<double>(now - begin_).count();
    EXPECT_LE(log_lines(result.err), 2 + static_cast<size_t>(seconds)) << result.err;
  }

  WireClient connect() const {
    auto client = WireClient::connect(facts().controller);
    if (!client)
      throw std::runtime_error("nobody listens any more");
    return std::move(*client);
  }
  const JobFacts& facts() const { return job_.facts(); }
  // A client's handshake that goes as it should, up to its proof; what it would say then.
  Bytes proof_of(Handshake& client, const WireClient& wire) const {
    wire.send(client.output());
    client.feed(wire.receive(kChallengeBytes));
    return client.output();
  }

  const TimePoint begin_ = steady_now();
  RealJob job_;
};

Bytes random_bytes(size_t count) {
  std::mt19937 random(1);
  Bytes bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

TEST_F(Strangers, PortScannersGetNoAnswer) {
  const uint8_t tls[] = {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03};
  const std::vector<Bytes> probes = {
      Bytes(tls, tls + sizeof(tls)),
      random_bytes(1),
      random_bytes(511),
      random_bytes(100'000),
      Bytes(512, 0),
      Bytes{'F'},
      Bytes{'F', 'D', 'L', 'H', 0xFF, 0xFF, 0, 1, 0, 1}};
  std::vector<std::string> texts = {
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "SSH-2.0-scan\r\n", "*1\r\n$4\r\nPING\r\n", "\r\n", ""};
  for (const Bytes& probe : probes) texts.emplace_back(probe.begin(), probe.end());
  for (const std::string& text : texts) {
    const WireClient scanner = connect();
    scanner.send(text);
    scanner.finish_sending();
    EXPECT_EQ(scanner.receive_to_end(), Bytes()) << "an answer to " << text.substr(0, 20);
  }
  for (int i = 0; i < 100; ++i) {
    WireClient gone = connect();
    if (i % 2 == 0)
      gone.reset();
  }
}

TEST_F(Strangers, AWrongSecretIsRefusedOnBothSides) {
  net::ClientParams params = client_params(facts(), 1);
  params.secret = Secret(Bytes(32, 9));
  Handshake client = Handshake::client(std::move(params));
  const WireClient wire = connect();
  EXPECT_TRUE(proof_of(client, wire).empty());
  EXPECT_THAT(client.status().message(), HasSubstr("do not hold the same secret"));
  // It goes on all the same, with something as long as a proof.
  wire.send(random_bytes(kProofBytes));
  EXPECT_EQ(wire.receive_to_end(), Bytes());
  EXPECT_TRUE(job_.launcher().wait_for("could not prove the job's secret"));
}

TEST_F(Strangers, NoSecretAtAllIsRefused) {
  for (const Bytes& proof : {Bytes(kProofBytes, 0), Bytes(kProofBytes, 0xFF), Bytes(1, 0)}) {
    Handshake client = Handshake::client(client_params(facts(), 1));
    const WireClient wire = connect();
    proof_of(client, wire);
    wire.send(proof);
    wire.finish_sending();
    EXPECT_EQ(wire.receive_to_end(), Bytes());
  }
}

TEST_F(Strangers, AReplayedSessionIsRefused) {
  Bytes hello, proof, frame;
  {
    // A whole session of a rank that holds the secret, overheard.
    Handshake client = Handshake::client(client_params(facts(), 1));
    hello = client.output();
    const WireClient wire = connect();
    wire.send(hello);
    client.feed(wire.receive(kChallengeBytes));
    proof = client.output();
    wire.send(proof);
    client.feed(wire.receive(1));
    ASSERT_TRUE(client.succeeded());
    net::FrameSealer sealer(client.keys().send);
    net::append_frame(frame, sealer, Bytes(64, 1));
  }
  for (int times = 0; times < 3; ++times) {
    const WireClient again = connect();
    again.send(hello);
    EXPECT_EQ(again.receive(kChallengeBytes).size(), kChallengeBytes);
    again.send(proof);
    again.send(frame);
    EXPECT_EQ(again.receive_to_end(), Bytes());
  }
}

TEST_F(Strangers, AReplayedServerIsNotBelieved) {
  Handshake overheard = Handshake::client(client_params(facts(), 1));
  const WireClient wire = connect();
  wire.send(overheard.output());
  const Bytes challenge = wire.receive(kChallengeBytes);
  Handshake another = Handshake::client(client_params(facts(), 1));
  another.output();
  another.feed(challenge);
  EXPECT_THAT(another.status().message(), HasSubstr("do not hold the same secret"));
}

TEST_F(Strangers, ReflectionIsRefused) {
  Handshake client = Handshake::client(client_params(facts(), 1));
  const Bytes hello = client.output();
  const WireClient first = connect();
  first.send(hello);
  const Bytes challenge = first.receive(kChallengeBytes);
  // The server's own words: its proof as the client's, and its challenge as a hello.
  first.send(ByteSpan(challenge).last(kProofBytes));
  EXPECT_EQ(first.receive_to_end(), Bytes());
  const WireClient second = connect();
  second.send(challenge);
  EXPECT_EQ(second.receive_to_end(), Bytes());
  // The proof that another connection of the same rank waits for.
  Handshake honest = Handshake::client(client_params(facts(), 1));
  const WireClient third = connect();
  const Bytes proof = proof_of(honest, third);
  const WireClient fourth = connect();
  fourth.send(hello);
  EXPECT_EQ(fourth.receive(kChallengeBytes).size(), kChallengeBytes);
  fourth.send(proof);
  EXPECT_EQ(fourth.receive_to_end(), Bytes());
}

// In the middle sits somebody who alters one bit of what a true rank says.
TEST_F(Strangers, EveryFlippedByteOfAHandshakeIsRefused) {
  const size_t hello_bytes = Handshake::client(client_params(facts(), 1)).output().size();
  for (size_t at = 0; at < hello_bytes + kProofBytes; ++at) {
    Handshake client = Handshake::client(client_params(facts(), 1));
    Bytes hello = client.output();
    const WireClient wire = connect();
    if (at < hello_bytes)
      hello[at] = static_cast<uint8_t>(hello[at] ^ (1U << (at % 8)));
    wire.send(hello);
    if (at < hello_bytes)
      wire.finish_sending();  // a length that has grown is not waited for
    client.feed(wire.receive(kChallengeBytes));
    EXPECT_EQ(client.awaits_admission(), at >= hello_bytes) << at;
    if (at >= hello_bytes) {
      Bytes proof = client.output();
      proof[at - hello_bytes] = static_cast<uint8_t>(proof[at - hello_bytes] ^ (1U << (at % 8)));
      wire.send(proof);
    }
    EXPECT_TRUE(wire.receive_to_end()) << "taken in although byte " << at << " was altered";
  }
}

// Likewise what the server says: the client finds it, whichever byte it is.
TEST_F(Strangers, EveryFlippedByteOfTheAnswerIsRefused) {
  for (size_t at = 0; at < kChallengeBytes; ++at) {
    Handshake client = Handshake::client(client_params(facts(), 1));
    const WireClient wire = connect();
    wire.send(client.output());
    Bytes challenge = wire.receive(kChallengeBytes);
    ASSERT_EQ(challenge.size(), kChallengeBytes);
    challenge[at] = static_cast<uint8_t>(challenge[at] ^ (1U << (at % 8)));
    client.feed(challenge);
    EXPECT_FALSE(client.awaits_admission()) << at;
    EXPECT_TRUE(client.output().empty()) << "it proves itself to whoever altered byte " << at;
  }
}

TEST_F(Strangers, AnotherProtocolVersionIsRefusedWithBothNamed) {
  net::ClientParams params = client_params(facts(), 1);
  params.versions = {2, 3};
  Handshake client = Handshake::client(std::move(params));
  const WireClient wire = connect();
  proof_of(client, wire);
  EXPECT_EQ(client.status().message(), "this rank speaks protocol version 2 to 3, the peer 1");
  EXPECT_TRUE(wire.receive_to_end());
  EXPECT_TRUE(job_.launcher().wait_for("the peer speaks protocol version 2 to 3, this rank 1"));
}

TEST_F(Strangers, AnotherJobIsRefusedWithBothNamed) {
  net::ClientParams params = client_params(facts(), 1);
  params.hello.job = "another-job";
  Handshake client = Handshake::client(std::move(params));
  const WireClient wire = connect();
  proof_of(client, wire);
  EXPECT_EQ(client.status().message(), "it serves another job, not \"another-job\"");
  EXPECT_TRUE(wire.receive_to_end());
  EXPECT_TRUE(job_.launcher().wait_for(
      "it belongs to job \"another-job\", this rank to \"" + facts().config.job + "\""));
}

TEST_F(Strangers, AnotherPlaceIsRefused) {
  const auto refusal = [this](const std::function<void(net::Hello&)>& change) {
    net::ClientParams params = client_params(facts(), 1);
    change(params.hello);
    Handshake client = Handshake::client(std::move(params));
    const WireClient wire = connect();
    proof_of(client, wire);
    EXPECT_TRUE(wire.receive_to_end());
    return client.status().message();
  };
  EXPECT_THAT(refusal([](auto& hello) { hello.rank = 0; }), HasSubstr("does not expect rank 0"));
  EXPECT_THAT(refusal([](auto& hello) { hello.rank = 2; }), HasSubstr("does not expect rank 2"));
  EXPECT_THAT(refusal([](auto& hello) { hello.rank = ~0U; }), HasSubstr("rank 4294967295"));
  EXPECT_THAT(refusal([](auto& hello) { hello.to_rank = 1; }), HasSubstr("does not expect"));
  EXPECT_THAT(
      refusal([](auto& hello) { hello.role = net::Role::Data; }),
      HasSubstr("takes no data connections"));
  EXPECT_THAT(refusal([](auto& hello) { hello.generation = 1; }), HasSubstr("generation"));
}

// Texts of strangers can neither begin a line of the log nor drive the terminal it is shown on.
TEST_F(Strangers, WriteNothingOfTheirOwnIntoTheLog) {
  net::ClientParams params = client_params(facts(), 1);
  params.secret = Secret(Bytes(32, 9));
  params.hello.job =
      "x\n[0] ready\x1b[2J\x9b"
      "31m\r\xff\u202e";
  Handshake client = Handshake::client(std::move(params));
  const WireClient wire = connect();
  proof_of(client, wire);
  EXPECT_TRUE(wire.receive_to_end());
  EXPECT_TRUE(job_.launcher().wait_for("it belongs to job \"x\\x0a[0] ready\\x1b[2J"));
  EXPECT_THAT(job_.launcher().err(), AllOf(Not(HasSubstr("\x1b")), Not(HasSubstr("\n[0] ready"))));
  EXPECT_THAT(job_.launcher().err(), Not(HasSubstr("\u202e"))) << "turns text around";
}

// One byte every tenth of a second gains no time: two seconds are all there is. Who is closed shows
// that by taking no more; bytes of a good hello come for four seconds more.
TEST_F(Strangers, SlowBytesGainNoTime) {
  const Bytes hello = Handshake::client(client_params(facts(), 1)).output();
  constexpr size_t kStrangers = 40, kBytes = 60;
  ASSERT_GT(hello.size(), kBytes) << "nothing but the deadline ends it";
  const TimePoint begin = steady_now();
  std::vector<WireClient> slow;
  for (size_t i = 0; i < kStrangers; ++i) slow.push_back(connect());
  size_t sent = 0;
  std::optional<Duration> first;
  for (; !slow.empty() && sent < kBytes; ++sent) {
    std::this_thread::sleep_for(100ms);  // the pace of the bytes
    std::erase_if(slow, [&](const WireClient& client) {
      return !client.send(ByteSpan(hello).subspan(sent, 1));
    });
    if (slow.size() < kStrangers && !first)
      first = steady_now() - begin;
  }
  const Duration last = steady_now() - begin;
  EXPECT_TRUE(slow.empty()) << "bytes that came gained time";
  EXPECT_LT(sent, kBytes) << "they were still coming";
  EXPECT_GE(first.value_or(0s), 1800ms);
  EXPECT_LT(last, 4s);
}

}  // namespace
}  // namespace farandole::hostile

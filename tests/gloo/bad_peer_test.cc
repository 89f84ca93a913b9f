// What a broken peer sends ends the group with a clear reason, and costs no memory.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "collectives/gloo/transport/frame.h"
#include "collectives/gloo/transport/link.h"
#include "collectives/gloo/transport/mesh_failed.h"
#include "tests/gloo/group.h"
#include "tests/gloo/tcp_pair.h"

namespace farandole::testing {
namespace {

using namespace std::chrono_literals;
using gloo_transport::encode;
using gloo_transport::Frame;
using gloo_transport::MeshFailed;
using gloo_transport::Opcode;

class BadPeerTest : public ::testing::Test {
 protected:
  // Sends raw bytes to a mesh of two and returns how it failed.
  std::string after(const std::vector<uint8_t>& bytes) {
    auto [near, far] = tcp_pair();
    std::vector<UniqueFd> sockets(2);
    sockets[1] = std::move(near);
    auto mesh = gloo_transport::Mesh::make({0, group_spec(0, 2).members, 5s}, std::move(sockets));
    EXPECT_EQ(::send(far.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), ssize_t(bytes.size()));
    EXPECT_THROW(mesh.value()->wait([] { return false; }), MeshFailed);
    return mesh.value()->status().to_string();
  }
  static std::vector<uint8_t> bytes_of(const Frame& frame) {
    const auto bytes = encode(frame);
    return {bytes.begin(), bytes.end()};
  }
};

TEST_F(BadPeerTest, Junk) {
  EXPECT_EQ(
      after(std::vector<uint8_t>(64, 'x')),
      "PeerLost: rank 11 (host h1) broke the protocol: it sent bytes that are no frame");
}

TEST_F(BadPeerTest, DataThatNobodyWaitsFor) {
  EXPECT_EQ(
      after(bytes_of({Opcode::Data, 1, uint64_t{1} << 62, 0})),
      "PeerLost: rank 11 (host h1) broke the protocol: it sent data that nobody waits for");
}

TEST_F(BadPeerTest, EagerBeyondItsSize) {
  EXPECT_EQ(
      after(bytes_of({Opcode::Eager, 1, gloo_transport::kEagerBytes + 1, 0})),
      "PeerLost: rank 11 (host h1) broke the protocol: it sent more than fits its window");
}

TEST_F(BadPeerTest, EagerBeyondItsWindow) {
  std::vector<uint8_t> bytes;
  for (int i = 0; i < 17; ++i) {
    const auto head = bytes_of({Opcode::Eager, 1, 16000, 0});
    bytes.insert(bytes.end(), head.begin(), head.end());
    bytes.resize(bytes.size() + 16000);
  }
  EXPECT_EQ(
      after(bytes),
      "PeerLost: rank 11 (host h1) broke the protocol: it sent more than fits its window");
}

class Nothing final : public gloo_transport::Sink, public gloo_transport::AnySource {
 public:
  void on_sent(int) noexcept override {}
  void on_received(int) noexcept override {}
  bool take(int, uint64_t, bool, gloo_transport::Receive&) override { return false; }
  bool wants(int, uint64_t) const override { return false; }
};

std::pair<UniqueFd, UniqueFd> unix_pair() {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// Each question has an answer, which waits in memory while the peer does not read.
TEST_F(BadPeerTest, QuestionsWithoutEnd) {
  auto [near, far] = unix_pair();
  Nothing nothing;
  gloo_transport::Link link(nothing, 1, std::move(near));
  const std::vector<uint8_t> data(gloo_transport::kEagerBytes + 1);
  ASSERT_TRUE(link.send({&nothing, 7, data.data(), data.size()}));
  const auto question = bytes_of({Opcode::Ask, 7, 0, 0});
  Status status;
  size_t asked = 0;
  for (; status.is_ok() && asked < 2 * gloo_transport::kMaxOutstanding; ++asked) {
    ASSERT_EQ(::send(far.get(), question.data(), question.size(), MSG_NOSIGNAL), 32);
    size_t moved = 0;
    status = link.read(moved);
    ASSERT_TRUE(link.flush(moved));
  }
  EXPECT_EQ(
      status.to_string(),
      "PeerLost: broke the protocol: it sent questions without reading the answers");
}

// Each stands for a receive, and is remembered until something is sent to it.
TEST_F(BadPeerTest, CreditsWithoutEnd) {
  auto [near, far] = unix_pair();
  Nothing nothing;
  gloo_transport::Link link(nothing, 1, std::move(near));
  Status status;
  size_t given = 0;
  for (; status.is_ok() && given < 2 * gloo_transport::kMaxOutstanding; ++given) {
    const auto credit = bytes_of({Opcode::Credit, given, 1, 0});
    ASSERT_EQ(::send(far.get(), credit.data(), credit.size(), MSG_NOSIGNAL), 32);
    size_t moved = 0;
    status = link.read(moved);
  }
  EXPECT_EQ(status.to_string(), "PeerLost: broke the protocol: it sent too many credits");
  EXPECT_EQ(given, gloo_transport::kMaxOutstanding + 1);
}

TEST_F(BadPeerTest, NothingComesAfterTheLastFrame) {
  auto bytes = bytes_of({Opcode::Leave, 0, 0, 0});
  const auto more = bytes_of({Opcode::Credit, 1, 1, 0});
  bytes.insert(bytes.end(), more.begin(), more.end());
  EXPECT_EQ(
      after(bytes),
      "PeerLost: rank 11 (host h1) broke the protocol: it sent a frame after its last");
}

}  // namespace
}  // namespace farandole::testing

#include "core/net/fd_io.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

namespace farandole::net {
namespace {

ClientParams data_client() {
  ClientParams params;
  params.secret = Secret(Bytes(32, 1));
  params.hello = {"job-a", "group", Role::Data, 3, 0, 7, 5};
  return params;
}

ServerParams data_server() {
  ServerParams params;
  params.secret = Secret(Bytes(32, 1));
  params.admit = [](const Hello& hello) {
    return hello.group == "group" ? Verdict::Admit : Verdict::Group;
  };
  return params;
}

TEST(RunHandshake, OverASocketReadsNothingBeyond) {
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  UniqueFd a(fds[0]), b(fds[1]);
  const TimePoint deadline = steady_now() + std::chrono::seconds(20);
  Handshake client = Handshake::client(data_client());
  Status on_client;
  std::thread thread([&] {
    on_client = run_handshake(a.get(), client, deadline);
    const Bytes more = {1, 2, 3};
    EXPECT_TRUE(send_all(a.get(), more, deadline).is_ok());
  });
  Handshake server = Handshake::server(data_server());
  const Status on_server = run_handshake(b.get(), server, deadline);
  thread.join();
  EXPECT_TRUE(on_client.is_ok()) << on_client.to_string();
  EXPECT_TRUE(on_server.is_ok()) << on_server.to_string();
  Bytes rest(16);
  const Result<size_t> got = receive_some(b.get(), rest, deadline);
  ASSERT_TRUE(got);
  EXPECT_EQ(got.value(), 3u);
}

TEST(RunHandshake, EndsAtItsDeadlineAndAtEof) {
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  UniqueFd a(fds[0]), b(fds[1]);
  Handshake client = Handshake::client(data_client());
  const Status late = run_handshake(a.get(), client, steady_now() + std::chrono::milliseconds(20));
  EXPECT_EQ(late.code(), Code::Timeout);
  b.reset();
  Handshake again = Handshake::client(data_client());
  EXPECT_EQ(
      run_handshake(a.get(), again, steady_now() + std::chrono::seconds(20)).code(),
      Code::PeerLost);
}

}  // namespace
}  // namespace farandole::net

// Somebody else answers where rank 0 should: a real rank 1 finds out, says so in one clear line,
// and gives nothing away.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <thread>

#include "tests/hostile/rank_client.h"

namespace farandole::hostile {
namespace {

using net::Handshake;
using testing::AnyOf;
using testing::HasSubstr;

// What the server answers to a hello; nullopt: it closes the connection.
using Answer = std::function<std::optional<Bytes>(const JobFacts&, const Bytes& hello)>;

struct Rogue {
  const char* name;
  Answer answer;
  const char* said;
};
void PrintTo(const Rogue& rogue, std::ostream* out) {
  *out << rogue.name;
}

UniqueFd listen_at(const net::Endpoint& at) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
  const net::SocketAddress address = net::resolve(at).value().front();
  EXPECT_EQ(bind(fd.get(), address.get(), address.size), 0);
  EXPECT_EQ(listen(fd.get(), 16), 0);
  return fd;
}

Bytes challenge_of(net::ServerParams params, const Bytes& hello) {
  params.admit = [](const net::Hello&) { return net::Verdict::Admit; };
  Handshake server = Handshake::server(std::move(params));
  server.feed(hello);
  return server.output();
}

class RogueServer : public testing::TestWithParam<Rogue> {};

TEST_P(RogueServer, IsFoundOut) {
  RealJob job(
      {.arguments = {"played=0", "held=1"}, .environment = {{"FARANDOLE_START_TIMEOUT", "3"}}});
  ASSERT_TRUE(job.wait_for(1, "waits"));
  const UniqueFd listener = listen_at(job.facts().controller);
  // Ends by the closed listener, at the latest when its job does.
  std::thread server([&] {
    std::vector<WireClient> open;
    while (true) {
      UniqueFd fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd)
        return;
      WireClient client(std::move(fd));
      const Bytes hello = client.receive_some();
      const auto answer = GetParam().answer(job.facts(), hello);
      if (!answer)
        continue;
      client.send(*answer);
      open.push_back(std::move(client));
    }
  });
  const TimePoint begin = steady_now();
  job.release(1);
  EXPECT_TRUE(job.wait_for(1, "not started: ")) << job.out();
  EXPECT_LT(steady_now() - begin, std::chrono::seconds(20));
  const std::string line = job.line(1, "not started: ");
  EXPECT_THAT(line, HasSubstr(GetParam().said));
  EXPECT_THAT(line, HasSubstr(job.facts().controller.to_string()));
  shutdown(listener.get(), SHUT_RDWR);
  server.join();
  job.release(0);
}

INSTANTIATE_TEST_SUITE_P(
    At,
    RogueServer,
    testing::Values(
        Rogue{
            "anotherSecret",
            [](const JobFacts&, const Bytes& hello) {
              net::ServerParams params;
              params.secret = Secret(Bytes(32, 9));
              return challenge_of(std::move(params), hello);
            },
            "the two ends do not hold the same secret"},
        Rogue{
            "anotherVersion",
            [](const JobFacts& facts, const Bytes& hello) {
              net::ServerParams params;
              params.secret = facts.secret;
              params.versions = {7, 9};
              return challenge_of(std::move(params), hello);
            },
            "this rank speaks protocol version 1, the peer 7 to 9"},
        Rogue{
            "echo",
            [](const JobFacts&, const Bytes& hello) { return hello; },
            "the answer is not that of a Farandole server"},
        Rogue{
            "anotherProtocol",
            [](const JobFacts&, const Bytes&) {
              const ByteSpan text = net::as_bytes(
                  "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n"
                  "Connection: close\r\n\r\n");
              return Bytes(text.begin(), text.end());
            },
            "the answer is not that of a Farandole server"},
        Rogue{
            "silence",
            [](const JobFacts&, const Bytes&) { return Bytes(); },
            "rank 1 could not reach rank 0"},
        Rogue{
            "hangsUp",
            [](const JobFacts&, const Bytes&) { return std::nullopt; },
            "rank 1 could not reach rank 0"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace farandole::hostile

// What a client makes of a server that it has reached: when it tries again, and when it waits.

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <optional>
#include <stdexcept>
#include <thread>

#include "tests/net/net_support.h"

namespace farandole::net {
namespace {

// A server whose every step the test decides.
class ByHand {
 public:
  ByHand() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const SocketAddress any = resolve({"127.0.0.1", 0}).value().front();
    EXPECT_EQ(bind(listener_.get(), any.get(), any.size), 0);
    EXPECT_EQ(listen(listener_.get(), 16), 0);
    at_ = local_end(listener_.get()).value().endpoint();
  }
  ConnectSpec spec() const {
    ConnectSpec spec;
    spec.to = at_;
    spec.client.secret = secret_of(1);
    spec.client.hello = {"j", "", Role::Control, 1, 0, 0, 7};
    spec.handshake_timeout = kPatience;
    return spec;
  }
  // A client whose proof has come, and what is to be sent to it yet.
  struct Proven {
    UniqueFd fd;
    Bytes admitted;
  };
  // Of the first client that does not go before.
  Proven proven() {
    while (true) {
      pollfd next{listener_.get(), POLLIN, 0};
      if (poll(&next, 1, static_cast<int>(kPatience / 1ms)) != 1)
        throw std::runtime_error("no client came");
      UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      ServerParams params;
      params.secret = secret_of(1);
      params.admit = [](const Hello&) { return Verdict::Admit; };
      Handshake server = Handshake::server(std::move(params));
      if (hear(fd, server) && server.succeeded())
        return {std::move(fd), server.output()};
    }
  }

 private:
  static bool hear(const UniqueFd& fd, Handshake& server) {
    Bytes buffer(kMaxUnauthenticatedBytes);
    while (!server.done()) {
      const TimePoint deadline = steady_now() + kPatience;
      if (!send_all(fd.get(), server.output(), deadline).is_ok())
        return false;
      const auto got = receive_some(fd.get(), std::span(buffer).first(server.wants()), deadline);
      if (!got)
        return false;
      server.feed(ByteSpan(buffer).first(got.value()));
    }
    return true;
  }

  UniqueFd listener_;
  Endpoint at_;
};

TEST(Connector, WhoIsDroppedBehindItsProofTriesAgain) {
  ByHand server;
  Result<Established> outcome = Status(Code::Internal, "not run");
  std::thread client([&] { outcome = connect_to(server.spec(), steady_now() + kPatience); });
  for (int times = 0; times < 3; ++times) (void)server.proven();
  const ByHand::Proven last = server.proven();
  EXPECT_TRUE(send_all(last.fd.get(), last.admitted, steady_now() + kPatience).is_ok());
  client.join();
  EXPECT_TRUE(outcome) << outcome.status().to_string();
}

// With pauses twice as long each time it would pause for as long again as it has waited already,
// until they reach their bound. A busy machine makes some of them longer, not all.
TEST(Connector, ComesAgainAfterAQuarterOfTheTimeThatItHasWaited) {
  ByHand server;
  Result<Established> outcome = Status(Code::Internal, "not run");
  const TimePoint begin = steady_now();
  std::thread client([&] { outcome = connect_to(server.spec(), begin + kPatience); });
  std::optional<ByHand::Proven> last;
  double least = 1;  // of what it has waited
  for (int pauses = 0; pauses <= 7; ++pauses) {
    last.reset();
    const TimePoint dropped = steady_now();
    last = server.proven();
    const Duration pause = steady_now() - dropped, waited = dropped - begin;
    if (pauses >= 5)  // the first ones are short, and the way is as long
      least = std::min(least, std::chrono::duration<double>(pause) / waited);
  }
  EXPECT_LT(least, 0.6);
  EXPECT_TRUE(send_all(last->fd.get(), last->admitted, steady_now() + kPatience).is_ok());
  client.join();
  EXPECT_TRUE(outcome) << outcome.status().to_string();
}

// Perhaps it has been admitted already: who comes twice is refused.
TEST(Connector, WaitsForAServerThatHasProvedItselfAsLongAsThereIsTime) {
  ByHand server;
  ConnectSpec spec = server.spec();
  Result<Established> outcome = Status(Code::Internal, "not run");
  spec.handshake_timeout = 500ms;
  std::thread client([&] { outcome = connect_to(spec, steady_now() + kPatience); });
  const ByHand::Proven slow = server.proven();
  pollfd gone{slow.fd.get(), POLLIN, 0};
  EXPECT_EQ(poll(&gone, 1, 1000), 0) << "it went before it was answered";
  EXPECT_TRUE(send_all(slow.fd.get(), slow.admitted, steady_now() + kPatience).is_ok());
  client.join();
  EXPECT_TRUE(outcome) << outcome.status().to_string();
}

TEST(Connector, EndsWhileItWaitsToBeAdmitted) {
  ByHand server;
  ConnectSpec spec = server.spec();
  spec.handshake_timeout = 500ms;
  EXPECT_EQ(
      std::invoke([&] {
        Status late;
        std::thread client([&] { late = connect_to(spec, steady_now() + 3s).status(); });
        const ByHand::Proven never = server.proven();
        client.join();
        return late.code();
      }),
      Code::Timeout);
  std::atomic<bool> enough{false};
  spec.give_up = [&] { return enough.load(); };
  Status given_up;
  std::thread client([&] { given_up = connect_to(spec, steady_now() + kPatience).status(); });
  const ByHand::Proven never = server.proven();
  enough = true;
  client.join();
  EXPECT_EQ(given_up.code(), Code::Aborted) << given_up.to_string();
}

// Reached by way of the kernel alone.
TEST(Connector, GivesUpWhileTheServerIsSilent) {
  ByHand server;
  ConnectSpec spec = server.spec();
  int asked = 0;
  spec.give_up = [&] { return ++asked == 3; };
  const TimePoint begin = steady_now();
  EXPECT_EQ(connect_to(spec, begin + kPatience).status().code(), Code::Aborted);
  EXPECT_LT(steady_now() - begin, kPatience / 2);
}

TEST(Connector, AnotherAnswerToTheProofIsAnErrorAtOnce) {
  ByHand server;
  Status why;
  std::thread client([&] { why = connect_to(server.spec(), steady_now() + kPatience).status(); });
  const ByHand::Proven lied_to = server.proven();
  EXPECT_TRUE(send_all(lied_to.fd.get(), Bytes{'?'}, steady_now() + kPatience).is_ok());
  client.join();
  EXPECT_EQ(why.code(), Code::InvalidArgument) << why.to_string();
}

}  // namespace
}  // namespace farandole::net

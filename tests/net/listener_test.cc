#include "core/net/listener.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <future>
#include <regex>
#include <thread>

#include "core/base/log.h"
#include "tests/net/net_support.h"

namespace farandole::net {
namespace {

using ::testing::HasSubstr;

// A listener at a free port of the loopback interface that admits rank 1 of job "j".
struct Server {
  explicit Server(std::function<void(ListenerOptions&)> change = [](ListenerOptions&) {}) {
    ListenerOptions options;
    options.at = {"127.0.0.1", 0};
    options.server = [this] {
      ServerParams params;
      params.secret = secret_of(1);
      params.generation = generation.load();
      params.incarnation = 99;
      params.admit = [this](const Hello& hello) {
        if (hello.generation > generation.load())
          return Verdict::NotYet;
        return hello.job == "j" && hello.rank == 1 ? Verdict::Admit : Verdict::Rank;
      };
      return params;
    };
    options.accepted = [this](Established socket) { accepted.put(std::move(socket)); };
    change(options);
    Result<std::unique_ptr<Listener>> opened = Listener::open(io, std::move(options));
    EXPECT_TRUE(opened) << opened.status().to_string();
    listener = std::move(opened).value();
    at = listener->endpoint();
    set_log_sink([this](LogLevel, std::string_view line) { lines.put(std::string(line)); });
  }
  ~Server() {
    close();
    set_log_sink({});
  }
  void close() {
    io.run_and_wait([this] { listener.reset(); });
  }
  ConnectSpec spec() const {
    ConnectSpec spec;
    spec.to = at;
    spec.client.secret = secret_of(1);
    spec.client.hello = {"j", "", Role::Control, 1, 0, 0, 7};
    spec.handshake_timeout = kPatience;
    return spec;
  }
  UniqueFd stranger() const {
    const auto addresses = resolve(at);
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(fd.get(), addresses.value()[0].get(), addresses.value()[0].size), 0);
    return fd;
  }
  // Whether the server closes the connection by itself.
  static bool closed_by_server(const UniqueFd& fd) {
    Bytes buffer(512);
    while (true) {
      const Result<size_t> got = receive_some(fd.get(), buffer, steady_now() + kPatience);
      if (!got)
        return got.status().code() == Code::PeerLost;
    }
  }

  std::atomic<uint32_t> generation{0};
  Mailbox<Established> accepted;
  Mailbox<std::string> lines;
  IoThread io{"test-io"};
  std::unique_ptr<Listener> listener;
  Endpoint at;
};

TEST(Listener, HandsOverWhoeverProvesTheSecret) {
  Server server;
  const Result<Established> client = connect_to(server.spec(), steady_now() + kPatience);
  ASSERT_TRUE(client) << client.status().to_string();
  EXPECT_EQ(client.value().server_incarnation, 99u);
  const std::optional<Established> accepted = server.accepted.take();
  ASSERT_TRUE(accepted);
  EXPECT_EQ(accepted->hello, server.spec().client.hello);
  for (const int fd : {client.value().fd.get(), accepted->fd.get()}) {
    EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    EXPECT_TRUE(fcntl(fd, F_GETFL) & O_NONBLOCK);
  }
}

TEST(Listener, BindsToItsAddressOnly) {
  Server server;
  EXPECT_EQ(server.at.host, "127.0.0.1");
  const auto elsewhere = resolve({"127.0.0.2", server.at.port});
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_NE(connect(fd.get(), elsewhere.value()[0].get(), elsewhere.value()[0].size), 0);
}

TEST(Listener, NeverListensOnEveryInterface) {
  IoThread io("test-io");
  for (const char* all : {"0.0.0.0", "::", "::ffff:0.0.0.0", "0"}) {
    ListenerOptions options;
    options.at = {all, 0};
    const auto opened = Listener::open(io, std::move(options));
    ASSERT_FALSE(opened) << all;
    EXPECT_EQ(opened.status().code(), Code::InvalidArgument) << all;
    EXPECT_THAT(opened.status().message(), HasSubstr("every interface of this host")) << all;
  }
}

TEST(Listener, AnAddressInUseIsNamed) {
  Server server;
  ListenerOptions options;
  options.at = server.at;
  const auto second = Listener::open(server.io, options);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.status().code(), Code::System);
  EXPECT_THAT(second.status().message(), HasSubstr("cannot listen at " + server.at.to_string()));
}

TEST(Listener, SharesAPortThatSomebodyHolds) {
  const ReservedPort held;
  for (int i = 0; i < 3; ++i) {
    Server server([&](ListenerOptions& options) {
      options.at = held.endpoint();
      options.reuse_port = true;
    });
    EXPECT_TRUE(connect_to(server.spec(), steady_now() + kPatience)) << i;
  }
}

TEST(Listener, AWrongSecretIsAClearErrorAtOnce) {
  Server server;
  ConnectSpec spec = server.spec();
  spec.client.secret = secret_of(2);
  const Result<Established> client = connect_to(spec, steady_now() + kPatience);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.status().code(), Code::Mismatch);
  EXPECT_THAT(client.status().message(), HasSubstr("rank 1 could not join at 127.0.0.1:"));
  EXPECT_THAT(client.status().message(), HasSubstr("do not hold the same secret"));
  EXPECT_THAT(server.lines.take().value_or(""), HasSubstr("refused a connection from 127.0.0.1"));
  EXPECT_TRUE(connect_to(server.spec(), steady_now() + kPatience)) << "the server goes on";
}

TEST(Listener, ANameServerThatDoesNotAnswerHoldsUpNeitherSideBeyondItsDeadline) {
  const auto gate = std::make_shared<std::promise<void>>();
  const LookupLimits::Resolver silent = [open = gate->get_future().share()](auto...) {
    open.wait();
    return EAI_AGAIN;
  };
  ConnectSpec spec;
  spec.to = {"node-7", 4711};
  spec.client.hello.rank = 1;
  spec.resolver = silent;
  const Status client = connect_to(spec, steady_now() + 50ms).status();
  EXPECT_EQ(client.code(), Code::Timeout);
  EXPECT_THAT(client.message(), HasSubstr("rank 1 could not join at node-7:4711: "));
  spec.give_up = [] { return true; };
  EXPECT_EQ(connect_to(spec, steady_now() + 1h).status().code(), Code::Aborted);

  IoThread io("test-io");
  ListenerOptions options;
  options.at = spec.to;
  options.lookup = {steady_now() + 50ms, {}, silent};
  const Status server = Listener::open(io, std::move(options)).status();
  EXPECT_EQ(server.code(), Code::Timeout);
  EXPECT_THAT(server.message(), HasSubstr("cannot listen at node-7:4711: "));
  gate->set_value();
}

TEST(Listener, NotYetIsTriedAgainUntilItIsTime) {
  Server server;
  ConnectSpec spec = server.spec();
  spec.client.hello.generation = 1;
  const Result<Established> early = connect_to(spec, steady_now() + 2s);
  EXPECT_EQ(early.status().code(), Code::Timeout);
  EXPECT_THAT(early.status().message(), HasSubstr("still in generation 0"));
  std::promise<void> begun;
  std::thread later([&] {
    begun.get_future().wait();
    server.generation = 1;
  });
  begun.set_value();
  EXPECT_TRUE(connect_to(spec, steady_now() + kPatience));
  later.join();
  EXPECT_FALSE(server.lines.take(0ms)) << "waiting for one's turn is no event";
}

TEST(Listener, JunkIsClosedWithOneLine) {
  Server server;
  for (int i = 0; i < 200; ++i) {
    const UniqueFd fd = server.stranger();
    ASSERT_TRUE(
        send_all(fd.get(), as_bytes("GET / HTTP/1.1\r\n\r\n"), steady_now() + kPatience).is_ok());
    EXPECT_TRUE(Server::closed_by_server(fd));
  }
  EXPECT_TRUE(server.lines.take());
  // One line per second at most, however slow the machine was.
  size_t more = 0;
  while (server.lines.take(0ms)) ++more;
  EXPECT_LT(more, 60u);
  server.io.run_and_wait([&] { EXPECT_EQ(server.listener->refused(), 200u); });
  EXPECT_TRUE(connect_to(server.spec(), steady_now() + kPatience));
}

TEST(Listener, ASilentStrangerIsClosedAtTheDeadline) {
  Server server([](ListenerOptions& options) { options.handshake_timeout = 50ms; });
  const UniqueFd fd = server.stranger();
  EXPECT_TRUE(Server::closed_by_server(fd));
  EXPECT_THAT(server.lines.take().value_or(""), HasSubstr("did not finish the handshake in time"));
}

TEST(Listener, SlowBytesGainNoTime) {
  Server server([](ListenerOptions& options) { options.handshake_timeout = 100ms; });
  const Bytes hello = Handshake::client(server.spec().client).output();
  const TimePoint begin = steady_now();  // before its time begins
  const UniqueFd fd = server.stranger();
  bool closed = false;
  // The first ten bytes are good, so nothing but the deadline ends it.
  for (size_t i = 0; i < 60 && !closed; ++i) {
    const uint8_t byte = hello[i];
    Bytes answer(1);
    closed = !send_all(fd.get(), {&byte, 1}, steady_now() + kPatience).is_ok() ||
             receive_some(fd.get(), answer, steady_now() + 20ms).status().code() == Code::PeerLost;
  }
  EXPECT_TRUE(closed);
  EXPECT_GE(steady_now() - begin, 100ms);
}

TEST(Listener, HalfOpenConnectionsAreBoundedAndTheOldestGoes) {
  Server server([](ListenerOptions& options) {
    options.max_half_open = 8;
    options.handshake_timeout = kPatience;
  });
  std::vector<UniqueFd> strangers;
  for (int i = 0; i < 40; ++i) strangers.push_back(server.stranger());
  for (int i = 0; i < 32; ++i)
    EXPECT_TRUE(Server::closed_by_server(strangers[static_cast<size_t>(i)])) << i;
  server.io.run_and_wait([&] { EXPECT_EQ(server.listener->half_open(), 8u); });
  EXPECT_TRUE(connect_to(server.spec(), steady_now() + kPatience)) << "a flood keeps nobody out";
}

// While a crowd comes, the loop still does its other work: between two of its turns only a few are
// taken in.
TEST(Listener, ACrowdLeavesTheLoopItsTurns) {
  Server server([](ListenerOptions& options) { options.max_half_open = 100'000; });
  constexpr size_t kCrowd = 500;
  std::vector<UniqueFd> crowd;
  size_t most = 0, last = 0;
  std::promise<void> all;
  // Is the loop's other work: comes again in each of its turns.
  const std::function<void()> look = [&] {
    const size_t now = server.listener->half_open();
    most = std::max(most, now - last);
    last = now;
    if (now < kCrowd)
      server.io.post(look);
    else
      all.set_value();
  };
  server.io.run_and_wait([&] {
    // In the queue of the kernel, all of them, before the loop looks.
    while (crowd.size() < kCrowd) crowd.push_back(server.stranger());
    server.io.post(look);
  });
  ASSERT_EQ(all.get_future().wait_for(kPatience), std::future_status::ready);
  EXPECT_LE(most, 200U);
}

// The caller stays in the queue, so that each look finds it again: there is a pause between looks.
TEST(Listener, OutOfDescriptorsItPausesAndGoesOn) {
  Server server;
  const auto addresses = resolve(server.at);
  const UniqueFd caller(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{3, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_EQ(connect(caller.get(), addresses.value()[0].get(), addresses.value()[0].size), 0);
  const std::optional<std::string> first = server.lines.take();
  const std::optional<std::string> second = server.lines.take();  // a second later
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_THAT(first.value_or(""), HasSubstr("accept: Too many open files"));
  std::smatch more;
  ASSERT_TRUE(second);
  ASSERT_TRUE(std::regex_search(*second, more, std::regex("\\(([0-9]+) others refused meanwhile")));
  EXPECT_LE(std::stoul(more[1]), 10u) << "one look in 100 ms";
  EXPECT_TRUE(connect_to(server.spec(), steady_now() + kPatience)) << "it goes on";
}

TEST(Listener, ClosingItEndsWhatIsHalfOpen) {
  Server server([](ListenerOptions& options) { options.handshake_timeout = kPatience; });
  const UniqueFd fd = server.stranger();
  const UniqueFd second = server.stranger();
  EXPECT_TRUE(connect_to(server.spec(), steady_now() + kPatience)) << "both were accepted before";
  server.close();
  EXPECT_TRUE(Server::closed_by_server(fd));
  EXPECT_TRUE(Server::closed_by_server(second));
}

TEST(Connector, WaitsForAServerThatIsNotThereYet) {
  const ReservedPort port;
  std::promise<Result<Established>> outcome;
  std::thread client([&] {
    ConnectSpec spec;
    spec.to = port.endpoint();
    spec.client.secret = secret_of(1);
    spec.client.hello = {"j", "", Role::Control, 1, 0, 0, 7};
    spec.handshake_timeout = 2s;
    outcome.set_value(connect_to(spec, steady_now() + kPatience));
  });
  Server server([&](ListenerOptions& options) {
    options.at = port.endpoint();
    options.reuse_port = true;
  });
  client.join();
  const Result<Established> result = outcome.get_future().get();
  EXPECT_TRUE(result) << result.status().to_string();
}

TEST(Connector, SaysAtTheDeadlineWhatWasWrong) {
  const ReservedPort port;
  ConnectSpec spec;
  spec.to = port.endpoint();
  spec.client.secret = secret_of(1);
  spec.client.hello.rank = 4;
  spec.handshake_timeout = 2s;
  const Status why = connect_to(spec, steady_now() + 500ms).status();
  EXPECT_EQ(why.code(), Code::Timeout);
  EXPECT_THAT(
      why.message(),
      HasSubstr(
          "rank 4 could not reach rank 0 at " + port.endpoint().to_string() + " within 0.5 s: "));
  EXPECT_THAT(why.message(), HasSubstr("Connection refused"));
}

}  // namespace
}  // namespace farandole::net

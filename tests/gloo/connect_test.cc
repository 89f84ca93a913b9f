// How groups form: who is let in, who is not, and what an idle group costs.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <thread>

#include "core/net/fd_io.h"
#include "tests/gloo/group.h"
#include "tests/gloo/tcp_pair.h"
#include "tests/support/descriptors.h"
#include "tests/support/reaction.h"
#include "tests/support/threads.h"

namespace farandole::testing {
namespace {

using namespace std::chrono_literals;
using gloo_transport::connect_mesh;

// As an abort is promised.
constexpr Duration kAtOnce = promised(100ms);

// Those of the test itself, once there has been another.
#ifdef __SANITIZE_THREAD__  // which then starts one
constexpr size_t kOwnThreads = 2;
#else
constexpr size_t kOwnThreads = 1;
#endif

// Of who waits for one that never comes, while others come and are refused.
Config quick() {
  Config config;
  config.start_timeout = 3s;
  return config;
}

// Connects to the endpoint that member 0 published.
UniqueFd call_member_0(MemoryStore& store) {
  const auto endpoint = store.get("t/gloo/0", steady_now() + 10s).value();
  const auto address = gloo_transport::parse_endpoint({endpoint.begin(), endpoint.end()}).value();
  UniqueFd fd = std::move(gloo_transport::start_connect(address).value());
  pollfd writable{fd.get(), POLLOUT, 0};
  ::poll(&writable, 1, 10000);
  return fd;
}

TEST(Connect, GroupsOfManySizes) {
  for (const int size : {1, 2, 5, 16}) {
    Group group(size);
    const auto ended = group.run([&](int rank) {
      std::vector<uint8_t> out(1, static_cast<uint8_t>(rank)), in(static_cast<size_t>(size));
      auto mine = group.context(rank)->createUnboundBuffer(out.data(), 1);
      auto all = group.context(rank)->createUnboundBuffer(in.data(), in.size());
      for (int peer = 0; peer < size; ++peer) {
        if (peer == rank)
          continue;
        all->recv(peer, 1, static_cast<size_t>(peer), 1);
        mine->send(peer, 1);
      }
      for (int i = 1; i < size; ++i) {
        all->waitRecv();
        mine->waitSend();
      }
      for (int peer = 0; peer < size; ++peer)
        EXPECT_TRUE(peer == rank || in[static_cast<size_t>(peer)] == peer);
      return group.mesh(rank).status();
    });
    for (const Status& status : ended) EXPECT_EQ(status.to_string(), "Ok");
  }
}

TEST(Connect, AnotherSecretIsRefused) {
  MemoryStore store;
  ThreadCluster threads(2);
  const auto ended = threads.run([&](int rank) {
    GroupSpec spec = group_spec(rank, 2);
    if (rank == 1)
      spec.secret = test_secret(8);
    return connect_mesh(spec, store, quick()).status();
  });
  EXPECT_EQ(ended[0].code(), Code::Timeout) << ended[0].to_string();
  EXPECT_NE(ended[0].message().find("rank 11 (host h1)"), std::string::npos);
  EXPECT_EQ(ended[1].code(), Code::Mismatch) << ended[1].to_string();
  EXPECT_NE(ended[1].message().find("rank 10 (host h0)"), std::string::npos);
}

TEST(Connect, AnotherGroupOfTheSameJobIsRefused) {
  MemoryStore store;
  ThreadCluster threads(2);
  const auto ended = threads.run([&](int rank) {
    GroupSpec spec = group_spec(rank, 2);
    if (rank == 0)
      return connect_mesh(spec, store, quick()).status();
    const auto endpoint = store.get("t/gloo/0", steady_now() + 10s).value();
    EXPECT_TRUE(store.set("u/gloo/0", endpoint).is_ok());
    spec.tag = "u";
    return connect_mesh(spec, store, quick()).status();
  });
  EXPECT_EQ(ended[0].code(), Code::Timeout) << ended[0].to_string();
  EXPECT_EQ(ended[1].code(), Code::Mismatch) << ended[1].to_string();
}

// It knows the secret and is right in all else.
TEST(Connect, AnotherGenerationIsRefused) {
  MemoryStore store;
  Status formed;
  std::thread group([&] { formed = connect_mesh(group_spec(0, 2), store, quick()).status(); });
  const UniqueFd fd = call_member_0(store);
  net::ClientParams params{.secret = test_secret(), .hello = {}};
  params.hello.job = "job";
  params.hello.group = "t";
  params.hello.role = net::Role::Data;
  params.hello.rank = 11;
  params.hello.to_rank = 10;
  params.hello.generation = 1;
  net::Handshake handshake = net::Handshake::client(std::move(params));
  const Status refused = net::run_handshake(fd.get(), handshake, steady_now() + 10s);
  group.join();
  EXPECT_EQ(refused.code(), Code::Mismatch);
  EXPECT_NE(
      refused.message().find("data connections are of generation 0, not 1"), std::string::npos)
      << refused.to_string();
  EXPECT_EQ(formed.code(), Code::Timeout) << formed.to_string();
}

TEST(Connect, StrangersDisturbNobody) {
  MemoryStore store;
  ThreadCluster threads(3);
  const auto ended = threads.run([&](int rank) {
    if (rank < 2)
      return connect_mesh(group_spec(rank, 2), store, Config{}).status();
    return Status::ok();
  });
  EXPECT_EQ(ended[0].to_string(), "Ok");

  MemoryStore other;
  ThreadCluster more(2);
  const auto results = more.run([&](int rank) {
    if (rank == 0)
      return connect_mesh(group_spec(0, 2), other, Config{}).status();
    // Junk, silence and an early end, before the member that is waited for comes.
    std::vector<UniqueFd> strangers;
    const std::vector<uint8_t> junk(4096, 'x');
    for (int i = 0; i < 200; ++i) {
      UniqueFd fd = call_member_0(other);
      if (i % 3 == 0)
        ::send(fd.get(), junk.data(), junk.size(), MSG_NOSIGNAL);
      if (i % 3 != 1)
        strangers.push_back(std::move(fd));
    }
    return connect_mesh(group_spec(1, 2), other, Config{}).status();
  });
  EXPECT_EQ(results[0].to_string(), "Ok");
  EXPECT_EQ(results[1].to_string(), "Ok");
}

// As many as fill every place for those who have not proved anything, and they say nothing.
TEST(Connect, ACrowdOfSilentStrangersKeepsNobodyOut) {
  MemoryStore store;
  ThreadCluster threads(2);
  Config config;
  config.start_timeout = 20s;
  config.handshake_timeout = 60s;
  const auto ended = threads.run([&](int rank) {
    std::vector<UniqueFd> strangers;
    while (rank == 1 && strangers.size() < 300) strangers.push_back(call_member_0(store));
    return connect_mesh(group_spec(rank, 2), store, config).status();
  });
  EXPECT_EQ(ended[0].to_string(), "Ok");
  EXPECT_EQ(ended[1].to_string(), "Ok");
}

TEST(Connect, TheMissingAreNamed) {
  MemoryStore store;
  const auto mesh = connect_mesh(group_spec(0, 3), store, quick());
  ASSERT_FALSE(mesh);
  EXPECT_EQ(
      mesh.status().to_string(),
      "Timeout: group t: no data connection with rank 11 (host h1), rank 12 (host h2) after 3.0 s");
}

// While it waits for another member's address.
TEST(Connect, EndsWhenTheJobFails) {
  MemoryStore store;
  Reaction reaction(kAtOnce);
  std::thread failure([&] {
    (void)store.get("t/gloo/1", steady_now() + 10s);
    reaction.begin();
    store.fail({Code::PeerLost, "rank 10 died"});
    reaction.told();
  });
  const auto mesh = connect_mesh(group_spec(1, 2), store, Config{});
  reaction.returned();
  failure.join();
  EXPECT_EQ(mesh.status().to_string(), "PeerLost: rank 10 died");
  EXPECT_EQ(reaction.complaint(), "");
}

// While it waits for connections, not for the store; the start's deadline is a minute away.
TEST(Connect, EndsWhenItIsInterrupted) {
  MemoryStore store;
  GroupSpec spec = group_spec(0, 2);
  const auto interrupt = Interrupt::make().value();
  spec.interrupt = interrupt;
  Reaction reaction(kAtOnce);
  std::thread failure([&] {
    const UniqueFd caller = call_member_0(store);  // the group waits for members now
    reaction.begin();
    interrupt->trigger({Code::PeerLost, "rank 11 died"});
    reaction.told();
  });
  const auto mesh = connect_mesh(spec, store, Config{});
  reaction.returned();
  failure.join();
  EXPECT_EQ(mesh.status().to_string(), "PeerLost: rank 11 died");
  EXPECT_EQ(reaction.complaint(), "");
}

TEST(Connect, Ipv6) {
  if (!gloo_transport::listen_on(gloo_transport::resolve("::1", 0).value(), 1))
    GTEST_SKIP() << "no IPv6 here";
  MemoryStore store;
  ThreadCluster threads(2);
  const auto ended = threads.run([&](int rank) {
    GroupSpec spec = group_spec(rank, 2);
    for (Member& member : spec.members) member.address = "::1";
    return connect_mesh(spec, store, Config{}).status();
  });
  EXPECT_EQ(ended[0].to_string(), "Ok");
  EXPECT_EQ(ended[1].to_string(), "Ok");
}

TEST(Connect, WrongAddressesAreNamed) {
  EXPECT_EQ(
      gloo_transport::parse_endpoint("example").status().to_string(),
      "InvalidArgument: \"example\" is no endpoint (an address and a port are wanted, "
      "\"192.0.2.1:80\")");
  for (const char* wrong : {"1.2.3.4", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", ":80", "a:80", ""})
    EXPECT_EQ(gloo_transport::parse_endpoint(wrong).status().code(), Code::InvalidArgument)
        << wrong;
  EXPECT_EQ(gloo_transport::parse_endpoint("[::1]:80").value().to_string(), "[::1]:80");
}

TEST(Connect, ListensOnOneInterfaceAndNeverOnAll) {
  for (const char* all : {"0.0.0.0", "::", "::ffff:0.0.0.0"}) {
    const auto address = gloo_transport::resolve(all, 0);
    ASSERT_TRUE(address) << all;
    EXPECT_EQ(gloo_transport::listen_on(address.value(), 1).status().code(), Code::InvalidArgument)
        << all;
  }
  EXPECT_TRUE(gloo_transport::listen_on(gloo_transport::resolve("127.0.0.1", 0).value(), 1));
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

TEST(Connect, AnIdleGroupHasNoThreadNoListenerAndUsesNoTime) {
  std::thread([] {}).join();
  ASSERT_EQ(live_threads(), kOwnThreads);
  const size_t files = open_descriptors();
  {
    Group group(4);
    EXPECT_EQ(live_threads(), kOwnThreads + 4);  // one per member
    // 4 x 3 ends of connections and an eventfd each.
    EXPECT_EQ(open_descriptors(), files + 12 + 4);
    const double before = cpu_seconds();
    std::this_thread::sleep_for(300ms);  // the time that is measured
    EXPECT_LT(cpu_seconds() - before, 0.005);
  }
  EXPECT_EQ(live_threads(), kOwnThreads);
  EXPECT_EQ(open_descriptors(), files);
}

TEST(Connect, WhoDoesNotSayWhereItListensIsNamed) {
  MemoryStore store;
  Config config;
  config.start_timeout = 100ms;
  const Status status = connect_mesh(group_spec(1, 2), store, config).status();
  EXPECT_EQ(status.code(), Code::Timeout);
  EXPECT_NE(
      status.message().find("rank 10 (host h0) did not say where it listens"),
      status.message().npos)
      << status.message();
}

}  // namespace
}  // namespace farandole::testing

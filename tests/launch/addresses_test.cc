#include "controller/launch/addresses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "controller/launch/poll_wait.h"

namespace farandole::launch {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

const std::vector<HostAddress> kOwn{
    {"docker0", "172.17.0.1"}, {"eth0", "10.0.0.1"}, {"eth0", "fd00::1"}, {"ib0", "192.168.1.1"}};

TEST(Addresses, ThoseThatSshFoundComeFirst) {
  EXPECT_THAT(
      candidate_addresses(kOwn, {"10.0.0.1", "8.8.8.8"}, {}),
      ElementsAre("10.0.0.1", "172.17.0.1", "fd00::1", "192.168.1.1"));
}

TEST(Addresses, InterfacesChooseInTheirOrder) {
  EXPECT_THAT(
      candidate_addresses(kOwn, {"10.0.0.1"}, {"ib0", "eth0"}),
      ElementsAre("192.168.1.1", "10.0.0.1", "fd00::1"));
  EXPECT_EQ(address_on(kOwn, {"nosuch", "ib0"}, "h", "-x").value(), "192.168.1.1");
  EXPECT_EQ(
      address_on({{"eth0", "10.0.0.1"}}, {"ib0"}, "h", "--network-interface").status().message(),
      "--network-interface: host h has none of the interfaces named, or none that other hosts "
      "reach "
      "(no loopback is); it has eth0 (10.0.0.1)");
}

TimePoint soon() {
  return steady_now() + std::chrono::seconds(30);
}

std::vector<HeldPort> hold_one() {
  auto port = hold_port("127.0.0.1");
  EXPECT_TRUE(port) << port.status().message();
  std::vector<HeldPort> held;
  held.push_back(std::move(port).value());
  return held;
}

// A connection to a held port, whether or not somebody takes it.
UniqueFd stranger_at(const HeldPort& port) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  EXPECT_EQ(getsockname(port.holder.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  return fd;
}

bool is_readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return poll(&entry, 1, 0) == 1;
}

// Of what this process has done at the other end, which the kernel tells a moment later.
bool becomes_readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return poll(&entry, 1, 30'000) == 1;
}

TEST(Addresses, AHeldPortIsReachedWhileItListens) {
  std::vector<HeldPort> held = hold_one();
  std::vector<HeldPort> none;
  const std::string endpoint = held[0].endpoint;
  EXPECT_THAT(endpoint, StartsWith("127.0.0.1:"));
  EXPECT_THAT(try_endpoints({"nonsense", endpoint}, none, soon()), ElementsAre("no endpoint", ""));
  held[0].listener.reset();
  EXPECT_THAT(
      try_endpoints({endpoint}, held, soon()),
      ElementsAre("connect: Connection refused (errno 111)"));
}

// Its queue has room for SOMAXCONN; the next one would have no answer.
TEST(Addresses, AHeldPortIsReachedAgainAndAgain) {
  std::vector<HeldPort> held = hold_one();
  for (int i = 0; i < SOMAXCONN + 1000; ++i)
    ASSERT_THAT(try_endpoints({held[0].endpoint}, held, soon()), ElementsAre("")) << i;
}

TEST(Addresses, ACrowdAtAHeldPortLeavesTheLoopItsTurns) {
  std::vector<HeldPort> held = hold_one();
  std::vector<UniqueFd> crowd;
  for (int i = 0; i < 100; ++i) crowd.push_back(stranger_at(held[0]));
  const auto gone = [&](int first, int behind) {
    return std::all_of(crowd.begin() + first, crowd.begin() + behind, [](const UniqueFd& fd) {
      return becomes_readable(fd.get());
    });
  };
  turn_away_strangers(held);
  EXPECT_TRUE(gone(0, 64));
  EXPECT_TRUE(std::none_of(
      crowd.begin() + 64, crowd.end(), [](const UniqueFd& fd) { return is_readable(fd.get()); }));
  std::vector<pollfd> fds;
  await_strangers(held, fds);
  poll_until(fds, soon());
  EXPECT_NE(fds[0].revents, 0);
  turn_away_strangers(held);
  EXPECT_TRUE(gone(64, 100));
  EXPECT_FALSE(is_readable(held[0].listener.get()));
}

// A loop that waited for what it cannot take would not sleep any more.
TEST(Addresses, WithoutDescriptorsAHeldPortIsLeftAloneForATurn) {
  std::vector<HeldPort> held = hold_one();
  const UniqueFd stranger = stranger_at(held[0]);
  const auto awaited = [&] {
    std::vector<pollfd> fds;
    await_strangers(held, fds);
    return fds[0].fd;
  };
  EXPECT_EQ(awaited(), held[0].listener.get());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit no_more{static_cast<rlim_t>(stranger.get()) + 1, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &no_more), 0);
  turn_away_strangers(held);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(awaited(), -1);
  EXPECT_FALSE(is_readable(stranger.get()));
  turn_away_strangers(held);
  EXPECT_EQ(awaited(), held[0].listener.get());
  EXPECT_TRUE(becomes_readable(stranger.get()));
}

TEST(Addresses, WhatIsNoneIsNotHeld) {
  EXPECT_EQ(hold_port("h").status().message(), "\"h\" is no address");
  EXPECT_EQ(hold_port("").value().listener.get(), -1);
}

}  // namespace
}  // namespace farandole::launch

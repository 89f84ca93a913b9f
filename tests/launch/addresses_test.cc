#include "controller/launch/addresses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  EXPECT_EQ(address_on(kOwn, {"nosuch", "ib0"}, "h").value(), "192.168.1.1");
  EXPECT_EQ(
      address_on({{"eth0", "10.0.0.1"}}, {"ib0"}, "h").status().message(),
      "--network-interfaces: host h has none of the interfaces named; it has eth0 (10.0.0.1)");
}

TEST(Addresses, AHeldPortIsReachedWhileItListens) {
  auto port = hold_port("127.0.0.1");
  ASSERT_TRUE(port) << port.status().message();
  const std::string endpoint = port.value().endpoint;
  EXPECT_THAT(endpoint, StartsWith("127.0.0.1:"));
  const auto soon = [] { return steady_now() + std::chrono::seconds(30); };
  EXPECT_THAT(try_endpoints({"nonsense", endpoint}, soon()), ElementsAre("no endpoint", ""));
  port.value().listener.reset();
  EXPECT_THAT(
      try_endpoints({endpoint}, soon()), ElementsAre("connect: Connection refused (errno 111)"));
}

TEST(Addresses, WhatIsNoneIsNotHeld) {
  EXPECT_EQ(hold_port("h").status().message(), "\"h\" is no address");
  EXPECT_EQ(hold_port("").value().listener.get(), -1);
}

}  // namespace
}  // namespace farandole::launch

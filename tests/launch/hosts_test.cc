#include "controller/launch/hosts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace farandole::launch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Hosts, ReadsNamesAndSlots) {
  const auto hosts = parse_hosts("localhost:2,node-1.example.org:16,[::1]:3");
  ASSERT_TRUE(hosts) << hosts.status().to_string();
  EXPECT_THAT(
      hosts.value(),
      ElementsAre(Host{"localhost", 2}, Host{"node-1.example.org", 16}, Host{"[::1]", 3}));
  EXPECT_EQ(parse_hosts(" localhost:2, node-1.example.org:16 ,\t[::1]:3").value(), hosts.value());
}

TEST(Hosts, RefusesWhatIsNoHostWithSlots) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "gives no number of slots"},
      {"localhost", "gives no number of slots"},
      {"[::1]", "gives no number of slots"},
      {"localhost:", "is not a number of slots for localhost"},
      {"localhost:0", "a whole number from 1 to 65536 is wanted"},
      {"localhost:-1", "is not a number of slots"},
      {"localhost:2x", "is not a number of slots"},
      {"localhost:99999999999", "is not a number of slots"},
      {":2", "is not a host name"},
      {"-oProxyCommand=sh:2", "is not a host name"},
      {"a b:2", "is not a host name"},
      {"a;b:2", "is not a host name"},
      {"[zz]:2", "is not a host name"},
      {"a:1,", "gives no number of slots"},
      {"a:1,,b:2", "gives no number of slots"},
      {"a:1,a:2", "a is named twice; name it once"},
      {"a:1,A:2", "a is named twice; name it once"},
      {" ", "gives no number of slots"},
      {"me@a:2", "\"me@a\" names a user; give the host alone, and the user in ~/.ssh/config"},
      {"fd00::7:2", "\"fd00::7:2\" is not a host name"},
      {"::1", "\"::1\" is not a host name"},
  };
  for (const auto& [text, expected] : cases) {
    const auto hosts = parse_hosts(text);
    ASSERT_FALSE(hosts) << text;
    EXPECT_EQ(hosts.status().code(), Code::InvalidArgument);
    EXPECT_THAT(hosts.status().message(), HasSubstr(expected)) << text;
  }
}

TEST(Hosts, BoundsTheLengthOfAName) {
  EXPECT_TRUE(is_host_name(std::string(253, 'a')));
  EXPECT_FALSE(is_host_name(std::string(254, 'a')));
}

TEST(Hosts, KnowsItself) {
  for (const char* name :
       {"localhost", "127.0.0.1", "[::1]", "box.example.org", "box", "Localhost", "BOX"})
    EXPECT_TRUE(is_this_host(name, "box.example.org")) << name;
  EXPECT_FALSE(is_this_host("example.org", "box.example.org"));
  const auto here = [](const std::vector<Host>& hosts) {
    return this_host_among(hosts, "box.example.org", {"10.0.0.7", "fd00::7"});
  };
  EXPECT_EQ(here({{"far", 2}, {"box", 2}}).value(), "box");
  EXPECT_EQ(here({{"10.0.0.7", 2}, {"10.0.0.8", 2}}).value(), "10.0.0.7");
  EXPECT_EQ(here({{"[fd00::7]", 2}}).value(), "[fd00::7]");
  EXPECT_EQ(here({{"far", 2}}).value(), "");
  EXPECT_EQ(
      here({{"box", 2}, {"localhost", 1}}).status().message(),
      "box and localhost are the same host; name it once, with the sum of its slots");
}

TEST(Hosts, PlacesRanksInOrder) {
  const auto places = place_ranks({{"a", 2}, {"b", 3}, {"c", 4}}, 5);
  ASSERT_TRUE(places);
  EXPECT_THAT(
      places.value(),
      ElementsAre(
          Placement{0, 5, 0, 2, 0, 2, "a"},
          Placement{1, 5, 1, 2, 0, 2, "a"},
          Placement{2, 5, 0, 3, 1, 2, "b"},
          Placement{3, 5, 1, 3, 1, 2, "b"},
          Placement{4, 5, 2, 3, 0, 1, "b"}));
}

TEST(Hosts, RefusesMoreRanksThanSlots) {
  EXPECT_EQ(
      place_ranks({{"a", 2}, {"b", 1}}, 4).status().message(),
      "-np 4 is more than the 3 slots of the hosts; give them more slots or start at most 3 ranks");
  EXPECT_EQ(
      place_ranks({{"a", 1}}, 2).status().message(),
      "-np 2 is more than the 1 slot of the hosts; give them more slots or start at most 1 rank");
}

}  // namespace
}  // namespace farandole::launch

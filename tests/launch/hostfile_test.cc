#include "controller/launch/hostfile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace farandole::launch {
namespace {

using testing::ElementsAre;

TEST(Hostfile, ReadsWhatHorovodOpenMpiAndSchedulersWrite) {
  const auto hosts = parse_hostfile(
      "\xEF\xBB\xBF# the first rack\n"
      "\n"
      "node1 slots=4   # two sockets\n"
      "node2 slots = 2 max_slots=2\r\n"
      "\tnode3.example.org cpu=3\n"
      "node4 count= 5 max-slots=9\n"
      "[fe80::1]:7\n"
      "node5:6\n"
      "node6\n"
      "node7\n"
      "node6",
      "hosts.txt");
  ASSERT_TRUE(hosts) << hosts.status().to_string();
  EXPECT_THAT(
      hosts.value(),
      ElementsAre(
          Host{"node1", 4},
          Host{"node2", 2},
          Host{"node3.example.org", 3},
          Host{"node4", 5},
          Host{"[fe80::1]", 7},
          Host{"node5", 6},
          Host{"node6", 2},
          Host{"node7", 1}));
}

TEST(Hostfile, NamesFileAndLineAndWhatWouldBeRight) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "h names no host; lines like \"localhost slots=4\" are wanted"},
      {"# a\n\n", "h names no host; lines like \"localhost slots=4\" are wanted"},
      {"a\n-oProxyCommand=x",
       "h:2: \"-oProxyCommand=x\" is not a host name; letters, digits, '.', '_' and '-' are "
       "allowed, beginning with a letter or digit, or an IPv6 address in brackets"},
      {"fd00::7 slots=2",
       "h:1: \"fd00::7\" is not a host name; letters, digits, '.', '_' and '-' are allowed, "
       "beginning with a letter or digit, or an IPv6 address in brackets"},
      {"\nme@a slots=1",
       "h:2: \"me@a\" names a user; give the host alone, and the user in ~/.ssh/config (User)"},
      {"a slots=0",
       "h:1: slots=\"0\" is not a number of slots for a; a whole number from 1 to 65536 is wanted"},
      {"a:x",
       "h:1: slots=\"x\" is not a number of slots for a; a whole number from 1 to 65536 is wanted"},
      {"a slots",
       "h:1: slots=\"\" is not a number of slots for a; a whole number from 1 to 65536 is wanted"},
      {"a slots=1 slots=2", "h:1: slots is given twice for a"},
      {"a:2 slots=2", "h:1: slots is given twice for a"},
      {"a slots=4 max_slots=2", "h:1: a has 4 slots, more than its max_slots=2"},
      {"a 4", "h:1: \"4\" means nothing behind a host; slots=N is wanted, as in a slots=4"},
      {"a rack=4", "h:1: \"rack\" means nothing behind a host; slots=N is wanted, as in a slots=4"},
      {"a slots=2\nb\na slots=2",
       "h:3: a was named in line 1 already; name it once, with the sum of its slots"},
      {"a\na slots=2",
       "h:2: a was named in line 1 already; name it once, with the sum of its slots"},
  };
  for (const auto& [text, expected] : cases) {
    const auto hosts = parse_hostfile(text, "h");
    ASSERT_FALSE(hosts) << text;
    EXPECT_EQ(hosts.status().code(), Code::InvalidArgument);
    EXPECT_EQ(hosts.status().message(), expected) << text;
  }
}

TEST(Hostfile, SlotsOfAHostThatIsNamedAgainAndAgainAreBounded) {
  std::string text;
  for (int i = 0; i < kMaxRanks; ++i) text += "a\n";
  ASSERT_TRUE(parse_hostfile(text, "h"));
  EXPECT_EQ(
      parse_hostfile(text + "a\n", "h").status().message(), "h:65537: a has more than 65536 slots");
}

}  // namespace
}  // namespace farandole::launch

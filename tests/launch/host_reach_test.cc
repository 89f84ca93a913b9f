#include "controller/launch/host_reach.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace farandole::launch {
namespace {

using testing::StartsWith;

TEST(HostReach, TheFirstThatAllReachIsTheOne) {
  HostReach reach({"a:1", "b:2", "c:3"});
  reach.add("", {"", "", ""});
  reach.add("h1", {"no answer", "", ""});
  EXPECT_EQ(reach.reached_by_all(), "b:2");
  reach.add("h2", {"", "", "connect: refused"});
  EXPECT_EQ(reach.reached_by_all(), "b:2");
}

TEST(HostReach, WhoReachesNoneIsNamedWithItsReason) {
  HostReach reach({"a:1", "b:2"});
  reach.add("h1", {"no answer", ""});
  reach.add("h2", {"connect: refused", "connect: unreachable"});
  reach.add("h3", {"socket: no files", "socket: no files"});
  EXPECT_EQ(reach.reached_by_all(), "");
  EXPECT_THAT(
      reach.complaint("h0"),
      StartsWith("host h0, where rank 0 is to run, is not reached by h2, h3 at a:1, b:2 (connect: "
                 "refused); open its firewall for ports of the job, or choose "));
}

TEST(HostReach, WhereEachReachesAnotherOneAllAreNamed) {
  HostReach reach({"a:1", "b:2"});
  reach.add("h1", {"no answer", ""});
  reach.add("h2", {"", "connect: refused"});
  EXPECT_EQ(reach.reached_by_all(), "");
  EXPECT_THAT(
      reach.complaint("h0"),
      StartsWith("host h0, where rank 0 is to run, is not reached by all hosts at a:1, b:2 (no "));
}

TEST(HostReach, ItsOwnHostHasToReachThemToo) {
  HostReach reach({"a:1"});
  reach.add("", {"socket: no files"});
  EXPECT_EQ(reach.reached_by_all(), "");
  EXPECT_THAT(reach.complaint("h0"), testing::HasSubstr("by all hosts at a:1 (socket: no files)"));
}

}  // namespace
}  // namespace farandole::launch

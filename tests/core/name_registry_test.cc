#include "core/name_registry.h"

#include <gtest/gtest.h>

#include "core/member_name.h"

namespace farandole {
namespace {

Request named(std::string name, CollectiveKind kind = CollectiveKind::Allreduce) {
  Request r;
  r.name = std::move(name);
  r.signature.kind = kind;
  return r;
}

TEST(NameRegistry, ANameInFlightIsRefusedAndNothingElseClaimed) {
  NameRegistry names(10);
  ASSERT_TRUE(names.claim({named("a")}));
  const Status status = names.claim({named("b"), named("a")});
  EXPECT_EQ(status.code(), Code::InvalidArgument);
  EXPECT_EQ(
      status.message(),
      "allreduce \"a\": a tensor of that name is in flight already; wait for it or give another "
      "name");
  EXPECT_TRUE(names.claim({named("b")}));
  names.release(0, "a");
  EXPECT_TRUE(names.claim({named("a")}));
}

TEST(NameRegistry, SaysWhatIsInFlight) {
  NameRegistry names(10);
  EXPECT_EQ(names.in_flight(), "");
  ASSERT_TRUE(names.claim({named("b", CollectiveKind::Broadcast)}));
  EXPECT_EQ(names.in_flight(), "broadcast \"b\"");
  ASSERT_TRUE(names.claim({named("c"), named("a")}));
  EXPECT_EQ(names.in_flight(), "allreduce \"a\" and 2 more");
}

TEST(NameRegistry, TheSameNameInOneSubmissionTwiceIsRefused) {
  NameRegistry names(10);
  EXPECT_FALSE(names.claim({named("a"), named("a")}));
  EXPECT_TRUE(names.claim({named("a")}));
}

TEST(NameRegistry, TheNameOfAGroupIsInFlightWithItsMembers) {
  NameRegistry names(10);
  ASSERT_TRUE(names.claim({named("g [1/2]")}));
  ASSERT_TRUE(names.claim({named("g [2/2]")}));
  EXPECT_FALSE(names.claim({named("g")}));
  EXPECT_FALSE(names.claim({named("g [1/3]")}));
  EXPECT_FALSE(names.claim({named("other"), named("g [2/2]")}));
  names.release(0, "g [1/2]");
  EXPECT_FALSE(names.claim({named("g")}));
  EXPECT_FALSE(names.claim({named("g [3/3]")}));
  EXPECT_TRUE(names.claim({named("g [1/2]"), named("other")}));
  names.release(0, "g [1/2]");
  names.release(0, "g [2/2]");
  ASSERT_TRUE(names.claim({named("g")}));
  EXPECT_FALSE(names.claim({named("g [1/2]")}));
  names.release(0, "g");
  EXPECT_TRUE(names.claim({named("g [1/3]")}));
}

TEST(NameRegistry, AGroupOfAnotherSetIsAnother) {
  NameRegistry names(10);
  ASSERT_TRUE(names.claim({named("g [1/2]")}));
  Request other = named("g [1/3]");
  other.signature.process_set = 1;
  EXPECT_TRUE(names.claim({other}));
}

TEST(MemberName, IsReadAsItIsWritten) {
  EXPECT_EQ(name_of_member("g", 2, 13), "g [2/13]");
  const auto read = member_name("a [1/2] [2/13]");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->group(), "a [1/2]");
  EXPECT_EQ(read->place, 2U);
  EXPECT_EQ(read->count, 13U);
}

TEST(MemberName, OfAMessageIsOfAGroupThatGoesItsWay) {
  EXPECT_EQ(name_of_member("g 0->1", 2, 3), "g [2/3] 0->1");
  const auto read = member_name("g [2/3] 0->1");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->group(), "g 0->1");
  EXPECT_EQ(read->place, 2U);
  EXPECT_FALSE(member_name("g 0->1 [2/3]"));
  EXPECT_FALSE(member_name("g 0->1"));
}

TEST(MemberName, WhatIsWrittenOtherwiseIsNone) {
  for (const char* name :
       {"",
        "]",
        "g",
        "g [1]",
        "g[1/2]",
        " [1/2]",
        "g [1/2",
        "g [3/2]",
        "g [0/2]",
        "g [01/2]",
        "g [1/02]",
        "g [/2]",
        "g [1/]",
        "g [+1/2]",
        "g [1/2/3]",
        "g [1 /2]",
        "g [1/4294967296]"})
    EXPECT_FALSE(member_name(name)) << name;
}

TEST(NameRegistry, TheNumberInFlightIsBounded) {
  NameRegistry names(2);
  ASSERT_TRUE(names.claim({named("a"), named("b")}));
  EXPECT_EQ(
      names.claim({named("c")}).message(),
      "2 tensors are in flight and 1 more were submitted; the limit is 2 (FARANDOLE_MAX_PENDING)");
}

}  // namespace
}  // namespace farandole

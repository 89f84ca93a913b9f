#include "core/name_registry.h"

#include <gtest/gtest.h>

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

TEST(NameRegistry, TheNumberInFlightIsBounded) {
  NameRegistry names(2);
  ASSERT_TRUE(names.claim({named("a"), named("b")}));
  EXPECT_EQ(
      names.claim({named("c")}).message(),
      "2 tensors are in flight and 1 more were submitted; the limit is 2 (FARANDOLE_MAX_PENDING)");
}

}  // namespace
}  // namespace farandole

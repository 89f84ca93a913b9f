#include "core/way.h"

#include <gtest/gtest.h>

namespace farandole {
namespace {

TEST(Way, IsTheEndOfAName) {
  EXPECT_EQ(with_way("grad", {0, 12}), "grad 0->12");
  EXPECT_TRUE(tells_way("grad 0->12", {0, 12}));
  EXPECT_FALSE(tells_way("grad 0->12", {12, 0}));
  EXPECT_FALSE(tells_way("grad 10->12", {0, 12}));
  EXPECT_FALSE(tells_way("grad 0->12", {0, 2}));
}

TEST(Way, OtherNamesHaveNone) {
  for (const char* name :
       {"grad", "", "0->1", "a 0-> 1", "a0->1", "a ->1", "a 0->", "a 0->1 ", "a 0>1"})
    EXPECT_FALSE(tells_way(name)) << name;
  for (const char* name : {"a 0->1", " 0->1", "a 0->1 1->0", "a 00->1"})
    EXPECT_TRUE(tells_way(name)) << name;
}

TEST(Way, IsThatOfAMessageAlone) {
  Signature s;
  s.operand = {1};
  EXPECT_FALSE(way_of(s).any());
  s.kind = CollectiveKind::Message;
  EXPECT_EQ(way_of(s), (Way{0, 1}));
  s.operand.clear();
  EXPECT_FALSE(way_of(s).any());
}

}  // namespace
}  // namespace farandole

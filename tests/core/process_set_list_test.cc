#include "core/process_set_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace farandole {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(ProcessSetList, RanksAndRangesInAnyOrder) {
  EXPECT_TRUE(parse_process_sets("", 1).value().empty());
  EXPECT_THAT(
      parse_process_sets("0-2;3,1;3", 4).value(),
      ElementsAre(
          Pair(1, ElementsAre(0, 1, 2)), Pair(2, ElementsAre(1, 3)), Pair(3, ElementsAre(3))));
}

TEST(ProcessSetList, WhatIsWrongIsNamedWithItsIndex) {
  const auto said = [](std::string_view text) {
    return parse_process_sets(text, 4).status().message();
  };
  const std::string head = "process_sets: set ";
  EXPECT_EQ(said("0,1;2,4"), head + "[2,4] at index 1: rank 4 does not exist; ranks are 0 to 3");
  EXPECT_EQ(said("0,1,0"), head + "[0,1,0] at index 0: rank 0 stands there twice");
  EXPECT_EQ(said("0,1;2;1,0"), head + "[1,0] at index 2: it has the ranks of that at index 0");
  EXPECT_EQ(
      said("0-3"), head + "[0-3] at index 0: these are all ranks, which are process set 0 already");
  for (const char* bad : {";", "0;", "0,", "-1", "3-1", "1-", "99999999999999", "0--1"})
    EXPECT_THAT(said(bad), ::testing::HasSubstr("is neither a rank nor a range such as 0-3"))
        << bad;
}

}  // namespace
}  // namespace farandole

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <utility>

#include "controller/protocol/stalls.h"

namespace farandole::control {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Stall stall(const char* name, int submitted, int missing) {
  Stall made;
  made.name = name;
  made.age = 2s;
  made.submitted = {submitted};
  made.missing = {missing};
  return made;
}

Stalls only(Stall one) {
  Stalls made;
  made.oldest.push_back(std::move(one));
  return made;
}

// Each in an operation of its own: of the second one is heard while the first report is being made.
TEST(Inquiries, OfRanksThatWaitForEachOtherEachIsAskedAndHasItsTime) {
  const TimePoint begin{100s};
  Inquiries inquiries(2, 2s);
  const Inquiries::Question first = inquiries.report(only(stall("x", 0, 1)), begin);
  EXPECT_THAT(first.ranks, ElementsAre(1));
  const Inquiries::Question second = inquiries.report(only(stall("y", 1, 0)), begin + 1s);
  EXPECT_THAT(second.ranks, ElementsAre(0));
  EXPECT_EQ(inquiries.deadline(), begin + 3s);
  EXPECT_THAT(inquiries.report(only(stall("z", 1, 0)), begin + 2s).ranks, IsEmpty());
  EXPECT_EQ(inquiries.deadline(), begin + 3s);
  EXPECT_TRUE(inquiries.answer(1, first.number, "in y"));
  EXPECT_EQ(inquiries.take(begin + 2s), std::nullopt);
  EXPECT_TRUE(inquiries.answer(0, second.number, "in x"));
  const std::optional<StallReport> told = inquiries.take(begin + 2s);
  ASSERT_TRUE(told);
  EXPECT_THAT(told->stalls, SizeIs(3));
  EXPECT_THAT(told->testimonies, ElementsAre(Testimony{0, "in x"}, Testimony{1, "in y"}));
}

TEST(Stall, TenthsOfSecondsAreToldOfShortWaits) {
  Stall one = stall("x", 0, 1);
  one.age = 1490ms;
  EXPECT_THAT(text_of(one), HasSubstr(" has waited for 1.5 s: "));
  one.age = 3s;
  EXPECT_THAT(text_of(one), HasSubstr(" has waited for 3 s: "));
  one.age = 123456700ms;
  EXPECT_THAT(text_of(one), HasSubstr(" has waited for 123457 s: "));
}

}  // namespace
}  // namespace farandole::control

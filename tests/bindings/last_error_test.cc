// The text of a thread's last error: kept whole, or cut between characters.

#include "bindings/c/last_error.h"

#include <gtest/gtest.h>

#include <string>

namespace farandole::capi {
namespace {

constexpr size_t kMost = FDL_MAX_ERROR_BYTES - 1;

std::string kept(const std::string& text) {
  LastError error;
  error.set("an earlier one, which is longer than most", 3);
  error.set(text, 1);
  EXPECT_EQ(error.rank(), 1);
  return error.text();
}

TEST(LastError, IsEmptyAtFirst) {
  const LastError error;
  EXPECT_STREQ(error.text(), "");
  EXPECT_EQ(error.rank(), -1);
}

TEST(LastError, KeepsWhatFits) {
  for (const size_t length : {size_t{0}, size_t{1}, kMost}) {
    const std::string text(length, 'x');
    EXPECT_EQ(kept(text), text);
  }
}

TEST(LastError, CutsTheRest) {
  EXPECT_EQ(kept(std::string(kMost + 1, 'x')), std::string(kMost - 3, 'x') + "...");
  EXPECT_EQ(kept(std::string(10 * kMost, 'x')), std::string(kMost - 3, 'x') + "...");
}

TEST(LastError, CutsNoCharacterInTwo) {
  for (const std::string character : {"\u00fc", "\u20ac", "\U0001F40E"}) {
    for (size_t before = 0; before < character.size(); ++before) {
      std::string text(before, 'x');
      while (text.size() <= kMost) text += character;
      const std::string cut = kept(text);
      ASSERT_TRUE(cut.ends_with("..."));
      EXPECT_EQ((cut.size() - 3 - before) % character.size(), 0)
          << character << " behind " << before;
      EXPECT_GT(cut.size() + character.size(), kMost);
    }
  }
}

}  // namespace
}  // namespace farandole::capi

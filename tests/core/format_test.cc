#include "core/base/format.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace farandole {
namespace {

TEST(Printable, KeepsTextAndEscapesWhatCouldDriveATerminal) {
  EXPECT_EQ(printable("grad/12 äöü €"), "grad/12 äöü €");
  EXPECT_EQ(printable("a\x1b[31mb\n"), "a\\x1b[31mb\\x0a");
  EXPECT_EQ(printable("\xff\xc2\x9b"), "\\xff\\xc2\\x9b");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(printable("a\u2028b\u202ec"), "a\\xe2\\x80\\xa8b\\xe2\\x80\\xaec");
  EXPECT_EQ(printable("“a” … ‧ \u206a"), "“a” … ‧ \u206a");
}

TEST(Printable, CutsAtTheLimitBetweenCharacters) {
  EXPECT_EQ(printable("abcdef", 3), "abc…");
  EXPECT_EQ(printable("ab€", 4), "ab…");
}

TEST(Status, PrintsCodeAndMessage) {
  EXPECT_EQ(error(Code::Timeout, "waited {} s", 3).to_string(), "Timeout: waited 3 s");
  EXPECT_EQ(Status::ok().to_string(), "Ok");
  EXPECT_EQ(system_error("open", ENOENT).message(), "open: No such file or directory (errno 2)");
}

}  // namespace
}  // namespace farandole

// Several sessions in one process: whose a line is, and what is told.
#include "core/base/log.h"

#include <gtest/gtest.h>

#include <thread>

namespace farandole {
namespace {

std::string label_text() {
  const LogLabel label = log_label();
  return label ? *label : "none";
}

TEST(Log, TellsWhatTheMostVerboseLivingSessionWants) {
  EXPECT_EQ(log_level(), LogLevel::Warning);
  const LogMember quiet(LogLevel::Error, "rank 0");
  EXPECT_EQ(log_level(), LogLevel::Error);
  {
    const LogMember verbose(LogLevel::Debug, "rank 1");
    EXPECT_EQ(log_level(), LogLevel::Debug);
    const LogMember between(LogLevel::Info, "rank 2");
    EXPECT_EQ(log_level(), LogLevel::Debug);
  }
  EXPECT_EQ(log_level(), LogLevel::Error);
}

TEST(Log, AThreadHasTheLabelOfItsInnermostScope) {
  const LogMember zero(LogLevel::Warning, "rank 0");
  const LogMember one(LogLevel::Warning, "rank 1");
  EXPECT_EQ(label_text(), "none");
  {
    const LogScope outer(zero.label());
    EXPECT_EQ(label_text(), "rank 0");
    {
      const LogScope inner(one.label());
      EXPECT_EQ(label_text(), "rank 1");
      std::thread([] { EXPECT_EQ(label_text(), "none") << "of another thread"; }).join();
    }
    EXPECT_EQ(label_text(), "rank 0");
  }
  EXPECT_EQ(label_text(), "none");
}

TEST(Log, ALineOnStderrBeginsWithItsLabel) {
  const LogMember one(LogLevel::Warning, "rank 1");
  ::testing::internal::CaptureStderr();
  {
    const LogScope scope(one.label());
    FARANDOLE_LOG(Warning, "mine");
  }
  FARANDOLE_LOG(Warning, "nobody's");
  const std::string written = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(written.find("[farandole rank 1] warning: mine\n"), std::string::npos) << written;
  EXPECT_NE(written.find("[farandole] warning: nobody's\n"), std::string::npos) << written;
}

}  // namespace
}  // namespace farandole

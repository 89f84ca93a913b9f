#include "controller/launch/output_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "controller/launch/text_file.h"

namespace farandole::launch {
namespace {

using testing::HasSubstr;

class OutputFilesTest : public testing::Test {
 protected:
  OutputFilesTest() { folder_ = testing::TempDir() + "output_files_" + std::to_string(getpid()); }
  ~OutputFilesTest() override { std::filesystem::remove_all(folder_); }
  std::string text_of(const std::string& name) {
    const auto text = read_text_file(folder_ + "/" + name);
    return text ? text.value() : text.status().message();
  }
  std::string folder_;
};

TEST(RankFolder, HasAsManyDigitsAsTheLastRank) {
  EXPECT_EQ(rank_folder(0, 1), "rank.0");
  EXPECT_EQ(rank_folder(9, 10), "rank.9");
  EXPECT_EQ(rank_folder(7, 11), "rank.07");
  EXPECT_EQ(rank_folder(99, 65536), "rank.00099");
}

TEST_F(OutputFilesTest, HoldWhatWasWrittenAndNothingOfAnEarlierJob) {
  for (const char* word : {"first", "second"}) {
    auto files = OutputFiles::open(folder_ + "/new", 2);
    ASSERT_TRUE(files) << files.status().message();
    EXPECT_TRUE(files.value().write(1, Stream::Out, word));
    EXPECT_TRUE(files.value().write(1, Stream::Out, "\n"));
    EXPECT_TRUE(files.value().write(0, Stream::Err, "e"));
  }
  EXPECT_EQ(text_of("new/rank.1/stdout"), "second\n");
  EXPECT_EQ(text_of("new/rank.0/stderr"), "e");
  EXPECT_EQ(text_of("new/rank.0/stdout"), "");
}

TEST_F(OutputFilesTest, TellOnceWhatIsLost) {
  std::filesystem::create_directories(folder_ + "/rank.0");
  std::filesystem::create_symlink("/dev/full", folder_ + "/rank.0/stdout");
  auto files = OutputFiles::open(folder_, 1);
  ASSERT_TRUE(files) << files.status().message();
  EXPECT_THAT(
      files.value().write(0, Stream::Out, "x").message(),
      HasSubstr("/rank.0/stdout is lost from here on: write: No space left on device"));
  EXPECT_TRUE(files.value().write(0, Stream::Out, "x"));
}

TEST_F(OutputFilesTest, WhatCannotBeMadeIsNamed) {
  EXPECT_THAT(
      OutputFiles::open("/dev/null/x", 1).status().message(),
      HasSubstr(
          "--output-filename: the folder /dev/null/x/rank.0 cannot be made: Not a directory"));
  std::filesystem::create_directories(folder_ + "/rank.0");
  ASSERT_EQ(mkfifo((folder_ + "/rank.0/stdout").c_str(), 0600), 0);  // and nobody reads it
  EXPECT_THAT(
      OutputFiles::open(folder_, 1).status().message(),
      HasSubstr("/rank.0/stdout: open: No such device or address"));
}

TEST(ReadTextFile, IsBounded) {
  EXPECT_EQ(
      read_text_file("/dev/zero").status().message(),
      "/dev/zero has more than 4194304 bytes; a smaller file is wanted");
  EXPECT_EQ(
      read_text_file("/no/such").status().message(),
      "/no/such cannot be read: No such file or directory");
}

}  // namespace
}  // namespace farandole::launch

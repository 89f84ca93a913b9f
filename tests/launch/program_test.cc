#include "controller/launch/program.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace farandole::launch {
namespace {

class ProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "launch_program_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    for (const char* sub : {"a", "b"}) std::filesystem::create_directory(folder_ / sub);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string add(const std::string& name, mode_t mode) {
    const std::string path = folder_ / name;
    std::ofstream(path) << "#!/bin/sh\n";
    chmod(path.c_str(), mode);
    return path;
  }
  std::string search_path() const {
    return (folder_ / "a").string() + ":" + (folder_ / "b").string();
  }
  std::filesystem::path folder_;
};

TEST_F(ProgramTest, TakesTheFirstExecutableOne) {
  add("a/tool", 0644);
  const std::string second = add("b/tool", 0755);
  EXPECT_EQ(find_program("tool", search_path()).path, second);
  EXPECT_EQ(find_program(second, "").path, second);
}

TEST_F(ProgramTest, NamesWhatIsNotThere) {
  const ProgramSearch search = find_program("tool", search_path());
  EXPECT_EQ(search.exit_code, 127);
  EXPECT_EQ(search.message, "program tool was not found in PATH");
  const ProgramSearch path = find_program("./no/such", search_path());
  EXPECT_EQ(path.exit_code, 127);
  EXPECT_EQ(path.message, "program ./no/such was not found");
  EXPECT_EQ(find_program("", search_path()).exit_code, 127);
}

TEST_F(ProgramTest, NamesWhatCannotBeExecuted) {
  const std::string file = add("a/tool", 0644);
  for (const std::string& name : {std::string("tool"), file}) {
    const ProgramSearch search = find_program(name, search_path());
    EXPECT_EQ(search.exit_code, 126);
    EXPECT_EQ(
        search.message,
        "cannot start " + file + ": it is not executable (chmod +x would make it so)");
  }
  EXPECT_EQ(
      find_program((folder_ / "a").string(), "").message,
      "cannot start " + (folder_ / "a").string() + ": it is a folder");
}

}  // namespace
}  // namespace farandole::launch

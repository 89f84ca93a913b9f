#include "core/base/secret.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

namespace farandole {
namespace {

class SecretFile : public ::testing::Test {
 protected:
  SecretFile() { fd_ = mkstemp(path_); }
  ~SecretFile() override {
    close(fd_);
    unlink(path_);
  }
  void fill(size_t bytes, mode_t mode) {
    const std::string content(bytes, 's');
    ASSERT_EQ(write(fd_, content.data(), content.size()), static_cast<ssize_t>(bytes));
    ASSERT_EQ(fchmod(fd_, mode), 0);
  }

  char path_[32] = "/tmp/fdl_secret_XXXXXX";
  int fd_ = -1;
};

TEST_F(SecretFile, IsReadWhole) {
  fill(48, 0400);
  const Result<Secret> secret = Secret::from_file(path_);
  ASSERT_TRUE(secret) << secret.status().message();
  EXPECT_EQ(secret.value().bytes().size(), 48U);
}

TEST_F(SecretFile, IsRefusedWhenOthersCanReadIt) {
  fill(48, 0640);
  EXPECT_THAT(
      Secret::from_file(path_).status().message(), ::testing::HasSubstr("mode 640); make it 0400"));
}

TEST_F(SecretFile, IsRefusedWhenTooShortOrTooLong) {
  fill(31, 0400);
  EXPECT_THAT(Secret::from_file(path_).status().message(), ::testing::HasSubstr("holds 31 bytes"));
  ASSERT_EQ(ftruncate(fd_, 5000), 0);
  EXPECT_EQ(Secret::from_file(path_).status().code(), Code::InvalidArgument);
}

TEST(Secret, RandomOnesDiffer) {
  const Secret a = Secret::random().value();
  const Secret b = Secret::random().value();
  EXPECT_FALSE(std::equal(a.bytes().begin(), a.bytes().end(), b.bytes().begin()));
}

TEST(Secret, CopiesShareTheirPage) {
  const Secret a = Secret::random().value();
  const Secret b = a;
  EXPECT_EQ(a.bytes().data(), b.bytes().data());
}

// What the kernel knows of the mapping that holds `address`: the two letters of each flag.
std::string flags_of_mapping(const void* address) {
  std::ifstream smaps("/proc/self/smaps");
  const auto wanted = reinterpret_cast<uintptr_t>(address);
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    uintptr_t begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2)
      inside = begin <= wanted && wanted < end;
    else if (inside && line.starts_with("VmFlags:"))
      return line;
  }
  return "";
}

TEST(Secret, NoCoreDumpHoldsIt) {
  const Secret secret = Secret::random().value();
  EXPECT_THAT(flags_of_mapping(secret.bytes().data()), ::testing::HasSubstr(" dd"));
  const std::vector<uint8_t> ordinary(32);
  EXPECT_THAT(flags_of_mapping(ordinary.data()), ::testing::Not(::testing::HasSubstr(" dd")));
}

TEST(Secret, ItsPagesAreGivenBackWithTheLastOwner) {
  SecretMemory memory(32);
  memory.bytes()[5] = 7;
  SecretMemory other;
  other = std::move(memory);
  EXPECT_EQ(other.bytes()[5], 7);
  EXPECT_TRUE(memory.bytes().empty());  // NOLINT(bugprone-use-after-move)
  const uint8_t* const address = other.bytes().data();
  { const SecretMemory gone = std::move(other); }
  unsigned char resident = 0;
  EXPECT_EQ(mincore(const_cast<uint8_t*>(address), 1, &resident), -1) << "it is still mapped";
}

TEST(Secret, AMissingFileIsNamed) {
  EXPECT_THAT(
      Secret::from_file("/nonexistent/s").status().message(),
      ::testing::HasSubstr("/nonexistent/s"));
}

}  // namespace
}  // namespace farandole

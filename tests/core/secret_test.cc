#include "core/base/secret.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
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

TEST(Secret, AMissingFileIsNamed) {
  EXPECT_THAT(
      Secret::from_file("/nonexistent/s").status().message(),
      ::testing::HasSubstr("/nonexistent/s"));
}

}  // namespace
}  // namespace farandole

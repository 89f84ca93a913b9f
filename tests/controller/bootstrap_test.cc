#include "controller/rendezvous/bootstrap.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace farandole {
namespace {

using testing::HasSubstr;

class BootstrapTest : public testing::Test {
 protected:
  BootstrapTest() {
    char name[] = "/tmp/farandole-secret-XXXXXX";
    const int fd = mkostemp(name, O_CLOEXEC);
    path_ = name;
    EXPECT_EQ(write(fd, std::string(32, 's').data(), 32), 32);
    close(fd);
    config_.rank = 1;
    config_.size = 2;
    config_.controller = "127.0.0.1:29500";
    config_.job = "job-1";
    config_.secret_file = path_;
  }
  ~BootstrapTest() override { unlink(path_.c_str()); }

  void expect_refused(const char* said) {
    const Result<JobSpec> found = find_job(config_);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.status().code(), Code::InvalidArgument);
    EXPECT_THAT(found.status().message(), HasSubstr(said));
    EXPECT_EQ(std::ranges::count(found.status().message(), '\n'), 0);
  }

  std::string path_;
  Config config_;
};

TEST_F(BootstrapTest, ReadsWhatTheLauncherSays) {
  const Result<JobSpec> found = find_job(config_);
  ASSERT_TRUE(found) << found.status().to_string();
  EXPECT_EQ(found.value().rank, 1);
  EXPECT_EQ(found.value().size, 2);
  EXPECT_EQ(found.value().job, "job-1");
  EXPECT_EQ(found.value().controller, (net::Endpoint{"127.0.0.1", 29500}));
  EXPECT_EQ(found.value().secret.bytes().size(), 32u);
}

TEST_F(BootstrapTest, ASingleRankNeedsNothing) {
  const Result<JobSpec> found = find_job(Config{});
  ASSERT_TRUE(found);
  EXPECT_EQ(found.value().size, 1);
  EXPECT_TRUE(found.value().secret.empty());
}

TEST_F(BootstrapTest, SaysWhichVariableIsMissing) {
  config_.controller.clear();
  expect_refused("rank 1 of 2 does not know where rank 0 listens: FARANDOLE_CONTROLLER is not set");
  config_.controller = "127.0.0.1:29500";
  config_.job.clear();
  expect_refused("FARANDOLE_JOB is not set");
  config_.job = "j";
  config_.secret_file.clear();
  expect_refused("FARANDOLE_SECRET_FILE is not set");
}

TEST_F(BootstrapTest, RefusesAnEndpointThatIsNone) {
  for (const char* text : {"nonsense", "127.0.0.1:0", "127.0.0.1:99999"}) {
    config_.controller = text;
    expect_refused("host:port with a port from 1 to 65535 is wanted");
  }
}

TEST_F(BootstrapTest, RefusesARankThatIsNotBelowTheSize) {
  config_.rank = 2;
  expect_refused("FARANDOLE_RANK=2");
}

TEST_F(BootstrapTest, RefusesASecretThatIsShortOrReadableByOthers) {
  EXPECT_EQ(truncate(path_.c_str(), 31), 0);
  expect_refused("holds 31 bytes");
  EXPECT_EQ(truncate(path_.c_str(), 40), 0);
  EXPECT_EQ(chmod(path_.c_str(), 0440), 0);
  expect_refused("can be read by others than its owner");
}

TEST_F(BootstrapTest, NamesASecretFileThatIsNotThere) {
  config_.secret_file = "/nonexistent/secret";
  const Result<JobSpec> found = find_job(config_);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.status().code(), Code::System);
  EXPECT_THAT(found.status().message(), HasSubstr("/nonexistent/secret"));
}

}  // namespace
}  // namespace farandole

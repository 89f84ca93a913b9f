// The keeper of a rank, without an agent that tells it to end anything.

#include "controller/launch/keeper.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <optional>
#include <string>
#include <utility>

#include "controller/launch/poll_wait.h"
#include "tests/launch/job_process.h"

namespace farandole::launch {
namespace {

// A shell and its keeper; the test is the agent.
class KeeperTest : public testing::Test {
 protected:
  void start(const std::string& script) {
    int ends[2] = {-1, -1};
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    output_ = UniqueFd(ends[0]);
    const UniqueFd written(ends[1]);
    const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    auto channel = Channel::make_pair();
    ASSERT_TRUE(channel) << channel.status().message();
    KeeperJob job{.rank = 0, .agent = std::move(channel.value().second), .grace = kPatience};
    job.program.path = "/bin/sh";
    job.program.argv = {"sh", "-c", script};
    job.program.environment = {"PATH=/usr/bin:/bin"};
    job.program.input = null.get();
    job.program.output = written.get();
    job.program.error = null.get();
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &job.program.open_files), 0);
    sigemptyset(&job.program.kept_ignored);
    pid_ = fork();
    if (pid_ == 0)
      run_keeper(std::move(job));
    ASSERT_GT(pid_, 0);
    agent_ = std::move(channel.value().first);
  }
  // Without its agent a keeper ends all that it keeps.
  void TearDown() override {
    agent_.close();
    if (pid_ > 0) {
      EXPECT_EQ(waitpid(pid_, nullptr, 0), pid_);
    }
  }
  // What the keeper says of its program's end.
  std::optional<int> status() {
    const TimePoint deadline = steady_now() + kPatience;
    while (steady_now() < deadline) {
      Message message;
      const Channel::Receive got = agent_.receive(message);
      if (got == Channel::Receive::Got && message.kind == MessageKind::Exited)
        return message.value;
      if (got == Channel::Receive::Closed)
        break;
      std::array<pollfd, 1> fds{{{agent_.fd(), POLLIN, 0}}};
      if (got == Channel::Receive::Empty)
        poll_until(fds, deadline);
    }
    return std::nullopt;
  }

  Channel agent_;
  UniqueFd output_;
  pid_t pid_ = -1;
};

// What it holds, as a process that was cloned could hold sockets, is given up then.
TEST_F(KeeperTest, WhatAFailedRankLeftIsToldToEndWithoutAnOrder) {
  ASSERT_NO_FATAL_FAILURE(
      start("trap 'exit 3' USR1; "
            "(trap 'echo told; exit' TERM; kill -USR1 $$; sleep 1000 & wait) & wait"));
  const std::optional<int> ended = status();
  ASSERT_TRUE(ended);
  EXPECT_EQ(WEXITSTATUS(*ended), 3);
  EXPECT_EQ(read_bytes(output_.get(), 5), "told\n");
  Message message;
  std::array<pollfd, 1> fds{{{agent_.fd(), POLLIN, 0}}};
  poll_until(fds, steady_now() + kPatience);
  EXPECT_EQ(agent_.receive(message), Channel::Receive::Closed) << "nothing is left to be kept";
}

}  // namespace
}  // namespace farandole::launch

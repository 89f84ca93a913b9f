// A job on a terminal (a pseudo-terminal of the test's).

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "controller/launch/poll_wait.h"
#include "tests/launch/job_process.h"

namespace farandole::launch {
namespace {

class Terminal {
 public:
  explicit Terminal(const std::vector<std::string>& arguments) {
    int fd = -1;
    const winsize size{24, 80, 0, 0};
    pid_ = forkpty(&fd, nullptr, nullptr, &size);
    if (pid_ == 0)
      become(arguments);
    terminal_ = UniqueFd(fd);
  }
  ~Terminal() {
    if (!reaped_) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  void type(const std::string& text) { write_all(terminal_.get(), text); }
  bool wait_for(const std::string& text, size_t times = 1) {
    const TimePoint deadline = steady_now() + kPatience;
    while (count_of(shown_, text) < times) {
      if (!read_more(deadline))
        return false;
    }
    return true;
  }
  int wait() {
    const TimePoint deadline = steady_now() + kPatience;
    while (read_more(deadline)) {
    }
    int status = 0;
    if (waitpid(pid_, &status, steady_now() < deadline ? 0 : WNOHANG) != pid_)
      return -1;
    reaped_ = true;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  const std::string& shown() const { return shown_; }

 private:
  [[noreturn]] static void become(const std::vector<std::string>& arguments) {
    setenv("TERM", "xterm", 1);
    std::vector<char*> argv{const_cast<char*>(FARANDOLERUN)};
    for (const std::string& argument : arguments)
      argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    execv(FARANDOLERUN, argv.data());
    _exit(125);
  }
  bool read_more(TimePoint deadline) {
    std::array<pollfd, 1> fds{{{terminal_.get(), POLLIN, 0}}};
    poll_until(fds, deadline);
    std::array<char, 4096> buffer{};
    const ssize_t got = fds[0].revents ? read(terminal_.get(), buffer.data(), buffer.size()) : -1;
    if (got > 0)
      shown_.append(buffer.data(), static_cast<size_t>(got));
    return got > 0;
  }

  pid_t pid_ = -1;
  bool reaped_ = false;
  UniqueFd terminal_;
  std::string shown_;
};

TEST(JobTerminal, RankZeroAsksAndIsAnswered) {
  Terminal terminal(
      {"-np",
       "2",
       "--no-color",
       "sh",
       "-c",
       "[ $FARANDOLE_RANK = 0 ] || exit 0; printf 'name? '; read name; echo \"hello $name\""});
  ASSERT_TRUE(terminal.wait_for("[0] name? ")) << terminal.shown();
  terminal.type("ada\n");
  EXPECT_EQ(terminal.wait(), 0) << terminal.shown();
  EXPECT_THAT(terminal.shown(), testing::HasSubstr("[0] name? hello ada\r\n"));
}

TEST(JobTerminal, PrefixesAreColoured) {
  Terminal terminal({"-np", "2", "echo", "hi"});
  EXPECT_EQ(terminal.wait(), 0);
  EXPECT_THAT(terminal.shown(), testing::HasSubstr("\x1b[36m[0]\x1b[0m hi\r\n"));
  EXPECT_THAT(terminal.shown(), testing::HasSubstr("\x1b[33m[1]\x1b[0m hi\r\n"));
}

TEST(JobTerminal, ControlCReachesEveryRankOnce) {
  Terminal terminal(
      {"-np", "3", "--no-color", "--grace", "60", "python3", program("signals.py"), "SIGINT", "0"});
  ASSERT_TRUE(terminal.wait_for("ready", 3)) << terminal.shown();
  terminal.type("\x03");
  EXPECT_EQ(terminal.wait(), 130) << terminal.shown();
  for (const char* rank : {"[0] ", "[1] ", "[2] "})
    EXPECT_EQ(count_of(terminal.shown(), std::string(rank) + "heard SIGINT\r\n"), 1U)
        << terminal.shown();
}

TEST(JobTerminal, ControlBackslashEndsTheJob) {
  Terminal terminal(
      {"-np", "2", "--no-color", "--grace", "60", "python3", program("signals.py"), "SIGHUP", "0"});
  ASSERT_TRUE(terminal.wait_for("ready", 2));
  terminal.type("\x1c");  // Ctrl-\ asks for an end as well; the ranks' default for it is to die
  EXPECT_EQ(terminal.wait(), 128 + SIGQUIT) << terminal.shown();
}

}  // namespace
}  // namespace farandole::launch

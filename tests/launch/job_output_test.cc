// The ranks' output: whole, prefixed, bounded.

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "controller/launch/line_assembler.h"
#include "controller/launch/poll_wait.h"
#include "tests/launch/job_process.h"

namespace farandole::launch {
namespace {

// What the launcher itself takes, and the few MiB that may wait in it. The address sanitizer keeps
// freed memory back, 256 MiB by default.
#ifdef FARANDOLE_SANITIZED
constexpr long kPeakKib = 512 << 10;
#else
constexpr long kPeakKib = 48 << 10;
#endif

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end == std::string::npos ? text.size() : end + 1;
  }
  return lines;
}

// "[R] <R N xxx LENGTH>" with N of the given parity, in order.
void check_lines(const std::string& text, int parity, int ranks) {
  std::vector<int> next(static_cast<size_t>(ranks), parity);
  for (const std::string& line : split(text)) {
    int shown = -1;
    int rank = -1;
    int number = -1;
    ASSERT_EQ(sscanf(line.c_str(), "[%d] <%d %d ", &shown, &rank, &number), 3) << line;
    ASSERT_TRUE(shown == rank && rank >= 0 && rank < ranks) << line;
    const size_t length = static_cast<size_t>(number * 37 % 900);
    const std::string expected =
        fmt::format("[{0}] <{0} {1} {2} {3}>", rank, number, std::string(length, 'x'), length);
    ASSERT_EQ(line, expected);
    ASSERT_EQ(number, next[static_cast<size_t>(rank)]);
    next[static_cast<size_t>(rank)] += 2;
  }
  for (const int number : next) EXPECT_EQ(number, 2000 + parity);
}

TEST(JobOutput, NoLineIsTornOrLostUnderLoad) {
  const JobResult result = run_job({"-np", "8", "python3", program("lines.py")});
  EXPECT_EQ(result.exit_code, 0);
  check_lines(result.out, 0, 8);
  check_lines(result.err, 1, 8);
}

TEST(JobOutput, LinesStayWholeWhereBothStreamsShareAPipe) {
  const JobResult result = run_job(
      {"-np",
       "1",
       "sh",
       "-c",
       "exec \"$0\" -np 4 python3 \"$1\" 2>&1",
       FARANDOLERUN,
       program("lines.py")});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(split(result.out).size(), 8000U);
  for (const std::string& line : split(result.out))
    ASSERT_TRUE(line.starts_with("[0] [") && line.ends_with(">")) << line;
}

TEST(JobOutput, TheUnfinishedLastLineIsShown) {
  EXPECT_EQ(run_job({"-np", "1", "printf", "a\nb"}).out, "[0] a\n[0] b\n");
}

TEST(JobOutput, BytesPassAsTheyAre) {
  const JobResult result = run_job({"-np", "1", "printf", "\\033[1m\\001\\377\\r\\000x\\n"});
  EXPECT_EQ(result.out, std::string("[0] \x1b[1m\x01\xff\r\0x\n", 14));
}

TEST(JobOutput, ALongLineIsSplit) {
  const JobResult result =
      run_job({"-np", "1", "python3", "-c", "import sys; sys.stdout.write('x' * 2500000 + '\\n')"});
  const auto lines = split(result.out);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], "[0] " + std::string(kMaxLineBytes, 'x'));
  EXPECT_EQ(lines[2], "[0] " + std::string(2500000 - 2 * kMaxLineBytes, 'x'));
}

// Two ranks write them to both streams at once, the last of all without an end.
TEST(JobOutput, LongLinesStayWhole) {
  for (const size_t size : {size_t{1000}, size_t{60000}, size_t{66000}, kMaxLineBytes}) {
    const std::string script = fmt::format(
        "import os, sys, threading\n"
        "def write(fd, mark):\n"
        "    line = (mark * {0})[:{0}]\n"
        "    rest = '\\n'.join([line] * 4).encode()\n"
        "    while rest: rest = rest[os.write(fd, rest):]\n"
        "rank = os.environ['FARANDOLE_RANK']\n"
        "other = threading.Thread(target=write, args=(2, 'err' + rank))\n"
        "other.start(); write(1, 'out' + rank); other.join()\n",
        size);
    const JobResult result = run_job({"-np", "2", "python3", "-c", script});
    ASSERT_EQ(result.exit_code, 0);
    for (const std::string mark : {"out", "err"}) {
      std::vector<std::string> lines = split(mark == "out" ? result.out : result.err);
      std::ranges::sort(lines);
      ASSERT_EQ(lines.size(), 8U) << size;
      for (size_t i = 0; i < lines.size(); ++i) {
        const std::string rank = i < 4 ? "0" : "1";
        std::string expected = "[" + rank + "] ";
        while (expected.size() < size + 4) expected += mark + rank;
        expected.resize(size + 4);
        EXPECT_TRUE(lines[i] == expected) << mark << rank << ", " << size << " bytes";
      }
    }
  }
}

TEST(JobOutput, AGreatDealAtTheEndArrives) {
  // What stands in the pipes when the rank is gone, beyond what a pipe of the launcher's takes.
  const JobResult result = run_job(
      {"-np",
       "2",
       "python3",
       "-c",
       "import os\nfor i in range(65000): os.write(1, b'0123456789abcde\\n')"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(count_of(result.out, "] 0123456789abcde\n"), 130000U);
}

TEST(JobOutput, ASlowReaderSlowsTheRanksAndFillsNoMemory) {
  // The rank writes 64 MiB and then a byte into a pipe that only it and this test hold.
  const std::string path = testing::TempDir() + fmt::format("launch_done_{}", getpid());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const UniqueFd done(open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  JobProcess job(
      {"-np",
       "1",
       "python3",
       "-c",
       "import os,sys\n"
       "for i in range(1024): os.write(1, (b'x' * 1023 + b'\\n') * 64)\n"
       "os.write(os.open(sys.argv[1], os.O_WRONLY), b'!')\n"
       "os.write(1, b'the end\\n')\n"
       "sys.stdin.read()",
       path},
      {.keep_input = true});
  ASSERT_TRUE(job.wait_for("xxx"));
  std::array<pollfd, 1> fds{{{done.get(), POLLIN, 0}}};
  poll_until(fds, steady_now() + std::chrono::seconds(1));
  EXPECT_EQ(fds[0].revents, 0) << "64 MiB went somewhere, and nobody has read them";
  ASSERT_TRUE(job.wait_for("the end\n"));
  const std::string status = read_proc(job.pid(), "status");
  const long peak_kib = std::stol(status.substr(status.find("VmHWM:") + 6));
  EXPECT_LT(peak_kib, kPeakKib);
  job.close_input();
  EXPECT_EQ(job.wait().exit_code, 0);
  unlink(path.c_str());
}

TEST(JobOutput, WhatNobodyReadWhileTheJobLivedArrives) {
  // The rank writes lines until launcher and pipes are full, says how many, and is gone before
  // anybody reads.
  const std::string path = testing::TempDir() + fmt::format("launch_count_{}", getpid());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const UniqueFd count(open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  JobProcess job(
      {"-np",
       "1",
       "python3",
       "-c",
       "import os,select,sys\n"
       "os.set_blocking(1, False)\n"
       "lines = 0\n"
       "while select.select([], [1], [], 0.3)[1]:\n"
       "    lines += os.write(1, b'x' * 4095 + b'\\n') // 4096\n"
       "os.write(os.open(sys.argv[1], os.O_WRONLY), str(lines).encode())\n",
       path});
  std::array<pollfd, 1> fds{{{count.get(), POLLIN, 0}}};
  poll_until(fds, steady_now() + kPatience);
  std::array<char, 16> text{};
  ASSERT_GT(read(count.get(), text.data(), text.size() - 1), 0) << job.err();
  unlink(path.c_str());
  for (const pid_t agent : job.named("fdl-agent")) {
    const UniqueFd ended(static_cast<int>(syscall(SYS_pidfd_open, agent, 0)));
    fds[0].fd = ended.get();
    poll_until(fds, steady_now() + kPatience);
  }
  const JobResult result = job.wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(split(result.out).size(), static_cast<size_t>(std::stoi(text.data())));
  EXPECT_EQ(result.out.size(), split(result.out).size() * (4096 + sizeof("[0] ") - 1));
}

TEST(JobOutput, VerboseTellsTheStory) {
  const JobResult result = run_job({"-np", "2", "--verbose", "true"});
  EXPECT_EQ(result.exit_code, 0);
  for (const char* part : {"2 x /", "rank 1 started, pid ", "rank 0 ended with exit code 0"})
    EXPECT_THAT(result.err, testing::HasSubstr(part));
}

TEST(JobOutput, ColourIsForTerminalsUnlessForced) {
  EXPECT_EQ(run_job({"-np", "1", "echo", "x"}).out, "[0] x\n");
  EXPECT_EQ(run_job({"-np", "1", "--color", "echo", "x"}).out, "\x1b[36m[0]\x1b[0m x\n");
}

}  // namespace
}  // namespace farandole::launch

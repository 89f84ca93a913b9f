// How jobs end: exit codes, signals, deadlines, and what the last line says.

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/launch/job_process.h"

namespace farandole::launch {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;

std::vector<std::string> shell(int ranks, const std::string& script) {
  return {"-np", std::to_string(ranks), "sh", "-c", script};
}

// A pipe with a name, by which ranks wait for one another: $0 of their scripts. Who opens it waits
// for who opens its other end, who reads for the end of who writes.
class Fifo {
 public:
  Fifo() { EXPECT_EQ(mkfifo(path_.c_str(), 0600), 0); }
  ~Fifo() { unlink(path_.c_str()); }
  Fifo(const Fifo&) = delete;
  Fifo& operator=(const Fifo&) = delete;

  std::vector<std::string> shell(int ranks, const std::string& script) const {
    return {"-np", std::to_string(ranks), "sh", "-c", script, path_};
  }

 private:
  const std::string path_ = testing::TempDir() + fmt::format("launch_end_{}", getpid());
};

// Waits until the process whose number comes through the pipe has been waited for.
const std::string kOnceItHasEnded =
    "read pid < \"$0\"; while kill -0 $pid 2> /dev/null; do :; done; ";

std::string last_line(const std::string& text) {
  const size_t end = text.find_last_not_of('\n');
  const size_t begin = text.find_last_of('\n', end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1);
}

TEST(JobEnd, SuccessIsSilent) {
  const JobResult result = run_job(shell(3, "exit 0"));
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out + result.err, "");
}

TEST(JobEnd, TheFirstFailureGivesCodeAndLastLine) {
  const JobResult result = run_job(
      shell(3, "[ $FARANDOLE_RANK = 1 ] || exec sleep 1000; echo one; echo two >&2; exit 7"));
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_EQ(result.out, "[1] one\n");
  EXPECT_THAT(result.err, HasSubstr("[1] two\n"));
  EXPECT_THAT(
      last_line(result.err),
      MatchesRegex("farandolerun: rank 1 \\(host .*, pid [0-9]+\\) failed with exit code 7 after "
                   "[0-9]+\\.[0-9][0-9] s; its last output: (one|two)\n"));
}

TEST(JobEnd, AScriptOfHorovodIsToldHowToRun) {
  const JobResult result =
      run_job(shell(1, "echo \"ModuleNotFoundError: No module named 'horovod'\" >&2; exit 1"));
  EXPECT_THAT(
      last_line(result.err),
      HasSubstr("its last output: ModuleNotFoundError: No module named 'horovod' (farandolerun "
                "--horovod answers for it)\n"));
}

TEST(JobEnd, OtherRanksMayStillSayWhatTheySaw) {
  const Fifo ready;
  const JobResult result = run_job(ready.shell(
      2,
      "[ $FARANDOLE_RANK = 1 ] && { read none < \"$0\"; exit 3; }; trap 'echo was told; exit 1' "
      "TERM; : > \"$0\"; sleep 1000 & wait"));
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.out, "[0] was told\n");
}

TEST(JobEnd, ARankThatReportsALostPeerIsNotBlamed) {
  const Fifo failing;
  const JobResult result = run_job(failing.shell(
      2,
      "[ $FARANDOLE_RANK = 0 ] && { echo 'farandole.PeerLostError: rank 1' >&2; echo $$ > \"$0\"; "
      "exit 1; }; " +
          kOnceItHasEnded + "exit 5"));
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(last_line(result.err), HasSubstr("rank 1 "));
}

// As a program in C does that prints the error and leaves in order, sooner than the one who failed.
TEST(JobEnd, ARankThatPrintsOurErrorOfAnotherIsNotBlamed) {
  for (const auto* what : {"left the job: shutdown", "was lost: connection closed"}) {
    const Fifo failing;
    const JobResult result = run_job(failing.shell(
        2,
        fmt::format(
            "[ $FARANDOLE_RANK = 0 ] && {{ echo 'allreduce \"x\": rank 1 (host h) {}' >&2; "
            "echo $$ > \"$0\"; exit 1; }}; {}exit 5",
            what,
            kOnceItHasEnded)));
    EXPECT_EQ(result.exit_code, 5);
    EXPECT_THAT(last_line(result.err), HasSubstr("rank 1 "));
  }
}

TEST(JobEnd, IgnoredChildSignalsDoNotHangTheLauncher) {
  const JobResult result = run_job(
      {"-np",
       "1",
       "python3",
       "-c",
       "import os,signal,sys\n"
       "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
       "os.execv(sys.argv[1], sys.argv[1:])",
       FARANDOLERUN,
       "-np",
       "2",
       "echo",
       "hi"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(count_of(result.out, "] hi\n"), 2U);
}

TEST(JobEnd, ChildrenFromBeforeAreLeftAlone) {
  // A shell that becomes the launcher leaves it its background jobs: not waited for, not ended.
  const std::string path = testing::TempDir() + fmt::format("launch_child_{}", getpid());
  const JobResult result = run_job(
      {"-np",
       "1",
       "sh",
       "-c",
       "sh -c 'sleep 1000 & echo $! > \"$1\"; exec \"$0\" --timeout 0.2 -np 1 sleep 1000' \"$0\" "
       "\"$1\"; "
       "code=$?; kill -0 $(cat \"$1\") && echo untouched; exit $code",
       FARANDOLERUN,
       path});
  unlink(path.c_str());
  EXPECT_EQ(result.exit_code, 124) << result.err;
  EXPECT_EQ(result.out, "[0] untouched\n");
}

TEST(JobEnd, ASignalThatEndsARankIsNamed) {
  const std::pair<const char*, int> cases[] = {{"SEGV", 139}, {"KILL", 137}, {"ABRT", 134}};
  for (const auto& [name, code] : cases) {
    const JobResult result = run_job(shell(2, std::string("ulimit -c 0; kill -") + name + " $$"));
    EXPECT_EQ(result.exit_code, code);
    EXPECT_THAT(last_line(result.err), HasSubstr(std::string("was ended by SIG") + name));
  }
}

TEST(JobEnd, ARankThatEndsEarlyWithZeroIsNoFailure) {
  const JobResult result =
      run_job({"-np", "2", "sh", "-c", "[ $FARANDOLE_RANK = 1 ] && exit 0; sleep 1.5; echo done"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "[0] done\n");
}

TEST(JobEnd, TimeoutEndsEverything) {
  JobProcess job({"-np", "2", "--timeout", "2", "sh", "-c", "sleep 1000"});
  const JobResult result = job.wait();
  EXPECT_EQ(result.exit_code, 124);
  EXPECT_EQ(
      result.err,
      "farandolerun: the job was ended after 2.00 s (--timeout); ranks that were running: 0, 1\n");
  EXPECT_THAT(job.processes(), IsEmpty());
}

TEST(JobEnd, WhoIsDeafToSigtermIsKilledAfterTheGrace) {
  JobProcess job(
      {"-np",
       "2",
       "--timeout",
       "1",
       "--grace",
       "0.3",
       "sh",
       "-c",
       "trap '' TERM; while :; do sleep 1000; done"});
  EXPECT_EQ(job.wait().exit_code, 124);
  EXPECT_THAT(job.processes(), IsEmpty());
}

class JobSignal : public testing::TestWithParam<std::pair<int, const char*>> {};

TEST_P(JobSignal, IsPassedOnOnceAndDecidesTheExitCode) {
  const auto& [number, name] = GetParam();
  JobProcess job({"-np", "2", "--grace", "60", "python3", program("signals.py"), name, "0"});
  ASSERT_TRUE(job.wait_for("ready", 2)) << job.err();
  job.kill(number);
  const JobResult result = job.wait();
  EXPECT_EQ(result.exit_code, 128 + number);
  for (const char* rank : {"[0] ", "[1] "})
    EXPECT_EQ(count_of(result.out, std::string(rank) + "heard " + name + "\n"), 1U) << result.out;
  EXPECT_EQ(
      last_line(result.err),
      std::string("farandolerun: the job was ended by ") + name +
          "; ranks that were running: 0, 1\n");
}

INSTANTIATE_TEST_SUITE_P(
    All,
    JobSignal,
    testing::Values(
        std::pair(SIGINT, "SIGINT"), std::pair(SIGTERM, "SIGTERM"), std::pair(SIGHUP, "SIGHUP")),
    [](const auto& info) { return std::string(info.param.second); });

TEST(JobSignals, TheSecondOneKills) {
  JobProcess job({"-np", "2", "--grace", "1000", "python3", program("signals.py"), "never", "0"});
  ASSERT_TRUE(job.wait_for("ready", 2));
  job.kill(SIGINT);
  ASSERT_TRUE(job.wait_for("heard SIGINT", 2));
  job.kill(SIGINT);
  EXPECT_EQ(job.wait().exit_code, 130);
  EXPECT_THAT(job.processes(), IsEmpty());
}

TEST(JobSignals, UserSignalsAreOnlyPassedOn) {
  JobProcess job({"-np", "2", "python3", program("signals.py"), "SIGUSR1", "0"});
  ASSERT_TRUE(job.wait_for("ready", 2));
  job.kill(SIGUSR1);
  const JobResult result = job.wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(count_of(result.out, "heard SIGUSR1"), 2U);
}

// A stopped launcher shows nothing, so the ranks tell of their stop through a pipe of the test's.
TEST(JobSignals, RanksStopAndGoOnWithTheLauncher) {
  const std::string path = testing::TempDir() + fmt::format("launch_stop_{}", getpid());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const UniqueFd stops(open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  JobProcess job(
      {"-np",
       "2",
       "python3",
       "-c",
       "import os,signal,sys\n"
       "fifo=os.open(sys.argv[1], os.O_WRONLY)\n"
       "signal.signal(signal.SIGTSTP, lambda *_: os.write(fifo, b'stop\\n'))\n"
       "signal.signal(signal.SIGCONT, lambda *_: sys.exit(0))\n"
       "os.write(1, b'ready\\n')\n"
       "while True: signal.pause()",
       path});
  ASSERT_TRUE(job.wait_for("ready", 2)) << job.err();
  job.kill(SIGTSTP);
  ASSERT_TRUE(job.wait_for_stop());
  EXPECT_EQ(read_bytes(stops.get(), 10), "stop\nstop\n");
  unlink(path.c_str());
  job.kill(SIGCONT);
  EXPECT_EQ(job.wait().exit_code, 0) << job.err();
}

TEST(JobSignals, NohupHolds) {
  // A launcher that was started with SIGHUP ignored goes on, and so do its ranks.
  const JobResult result = run_job(
      {"-np",
       "1",
       "sh",
       "-c",
       "trap '' HUP; exec \"$0\" -np 2 sh -c 'kill -HUP $PPID; kill -HUP $$; echo alive'",
       FARANDOLERUN});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(count_of(result.out, "alive\n"), 2U);
}

TEST(JobEnd, NobodyReadingEndsTheJobWithoutNoise) {
  JobProcess job(shell(2, "while :; do echo line; done"));
  ASSERT_TRUE(job.wait_for("line", 2));
  job.close_output();
  const JobResult result = job.wait();
  EXPECT_EQ(result.exit_code, 141);
  EXPECT_EQ(
      result.err, "farandolerun: the job was ended because nobody reads its output any more\n");
  EXPECT_THAT(job.processes(), IsEmpty());
}

}  // namespace
}  // namespace farandole::launch

// What a job starts with: bad input is refused before anything starts; ranks get what they should
// and nothing else.

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/launch/job_process.h"

namespace farandole::launch {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

struct Refusal {
  const char* name;
  std::vector<std::string> arguments;
  int exit_code;
  std::string message;
  std::map<std::string, std::string> environment = {};
};

void PrintTo(const Refusal& refusal, std::ostream* out) {
  *out << refusal.name;
}

class JobRefused : public testing::TestWithParam<Refusal> {};

TEST_P(JobRefused, InOneLineBeforeAnythingStarts) {
  const Refusal& refusal = GetParam();
  const JobResult result = run_job(refusal.arguments, {.environment = refusal.environment});
  EXPECT_EQ(result.exit_code, refusal.exit_code);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, "farandolerun: " + refusal.message + "\n");
}

INSTANTIATE_TEST_SUITE_P(
    Matrix,
    JobRefused,
    testing::Values(
        Refusal{
            "nothing", {}, 2, "-np is missing: how many ranks? As in farandolerun -np 2 PROGRAM"},
        Refusal{
            "unknownFlag",
            {"-np", "2", "--verbos", "echo"},
            2,
            "unknown flag --verbos; did you mean --verbose? (farandolerun --help lists all)"},
        Refusal{
            "zeroRanks",
            {"-np", "0", "echo"},
            2,
            "-np \"0\" is not valid: a whole number from 1 to 65536 is wanted"},
        Refusal{
            "tooFewSlots",
            {"-np", "3", "-H", "localhost:2", "echo"},
            2,
            "-np 3 is more than the 2 slots of the hosts; give them more slots or start at most 2 "
            "ranks"},
        Refusal{
            "badHost",
            {"-H", "-oProxyCommand=x:1", "echo"},
            2,
            "-H: \"-oProxyCommand=x\" is not a host name; letters, digits, '.', '_' and '-' are "
            "allowed, beginning with a letter or digit, or an IPv6 address in brackets"},
        Refusal{
            "noSuchProgram",
            {"-np", "2", "no-such-program"},
            127,
            "program no-such-program was not found in PATH"},
        Refusal{"noSuchPath", {"-np", "2", "./no/such"}, 127, "program ./no/such was not found"},
        Refusal{
            "notExecutable",
            {"-np", "2", "/etc/passwd"},
            126,
            "cannot start /etc/passwd: it is not executable (chmod +x would make it so)"},
        Refusal{"folder", {"-np", "2", "/"}, 126, "cannot start /: it is a folder"},
        Refusal{
            "badSetting",
            {"-np", "2", "echo"},
            2,
            "FARANDOLE_FUSION_BYTES=\"abc\" is not valid: a whole number from 0 to 68719476736 is "
            "wanted",
            {{"FARANDOLE_FUSION_BYTES", "abc"}}},
        Refusal{
            "settingsThatContradict",
            {"-np", "2", "echo"},
            2,
            "FARANDOLE_HEARTBEAT_TIMEOUT=1 is less than four times FARANDOLE_HEARTBEAT_INTERVAL=1",
            {{"FARANDOLE_HEARTBEAT_TIMEOUT", "1"}, {"FARANDOLE_HEARTBEAT_INTERVAL", "1"}}},
        Refusal{
            "badTimeout",
            {"-np", "2", "--timeout", "soon", "echo"},
            2,
            "--timeout \"soon\" is not valid: a number of seconds from 0.001 to 100000000 is "
            "wanted"}),
    [](const auto& info) { return info.param.name; });

TEST(JobInput, OtherHostsNeedSsh) {
  const JobResult result =
      run_job({"-H", "far.example.org:4", "echo"}, {.environment = {{"PATH", "/nowhere"}}});
  EXPECT_EQ(result.exit_code, 127);
  EXPECT_EQ(
      result.err,
      "farandolerun: other hosts are reached by ssh, but program ssh was not found in PATH\n");
}

TEST(JobInput, AProgramThatTheKernelRefusesIsNamed) {
  const std::string path = testing::TempDir() + fmt::format("launch_bad_interpreter_{}", getpid());
  {
    const UniqueFd file(open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0755));
    write_all(file.get(), "#!/no/such/interpreter\n");
  }
  const JobResult result = run_job({"-np", "2", path});
  unlink(path.c_str());
  EXPECT_EQ(result.exit_code, 127);
  EXPECT_THAT(
      result.err, HasSubstr("could not be started: " + path + ": No such file or directory\n"));
}

TEST(JobInput, RankZeroHasTheInputAndTheOthersNone) {
  JobProcess job({"-np", "2", "cat"}, {.keep_input = true});
  job.write_input("hello\n");
  ASSERT_TRUE(job.wait_for("[0] hello\n"));
  job.close_input();
  const JobResult result = job.wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "[0] hello\n");
}

TEST(JobInput, RanksInheritThreeDescriptorsNoMaskAndNoDispositions) {
  const JobResult result = run_job(
      {"-np",
       "2",
       "python3",
       "-c",
       "import os,signal\n"
       "fds=[int(n) for n in os.listdir('/proc/self/fd')]\n"
       "print('fds',sorted(n for n in fds if os.path.exists(f'/proc/self/fd/{n}')))\n"
       "s=open('/proc/self/status').read()\n"
       "print('blocked',int(s.split('SigBlk:')[1].split()[0],16))\n"
       "print('usr1',signal.getsignal(signal.SIGUSR1)==signal.SIG_DFL)\n"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const char* expected : {"fds [0, 1, 2]\n", "blocked 0\n", "usr1 True\n"})
    EXPECT_EQ(count_of(result.out, expected), 2U) << result.out;
}

TEST(JobInput, ResourceLimitsStayAsTheyWere) {
  const JobResult result = run_job(
      {"-np",
       "1",
       "sh",
       "-c",
       "ulimit -Sn 100; exec \"$0\" -np 40 sh -c 'ulimit -Sn'",
       FARANDOLERUN});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(count_of(result.out, "] 100\n"), 40U) << result.out;
}

TEST(JobInput, TooFewOpenFilesAreNamed) {
  const JobResult result =
      run_job({"-np", "1", "sh", "-c", "ulimit -n 100; exec \"$0\" -np 40 true", FARANDOLERUN});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(
      result.err,
      HasSubstr(
          "farandolerun: 40 ranks need 224 open files, but the limit is 100: raise it (ulimit "
          "-Hn 224) or start fewer ranks\n"));
}

TEST(JobInput, TheSecretIsReadableByTheRanksAndStandsNowhere) {
  JobProcess job(
      {"-np",
       "2",
       "--verbose",
       "sh",
       "-c",
       "od -An -tx1 -v \"$FARANDOLE_SECRET_FILE\" | tr -d ' \\n'; echo :secret; stat -Lc %a:mode "
       "\"$FARANDOLE_SECRET_FILE\"; echo ready; exec cat"},
      {.keep_input = true});
  ASSERT_TRUE(job.wait_for("[0] ready"));
  ASSERT_TRUE(job.wait_for("400:mode"));
  const size_t end = job.out().find(":secret");
  ASSERT_NE(end, std::string::npos);
  const std::string hex = job.out().substr(end - 64, 64);
  std::string raw;
  for (size_t i = 0; i < hex.size(); i += 2)
    raw += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  for (const pid_t pid : job.processes()) {
    for (const char* file : {"cmdline", "environ"}) {
      const std::string text = read_proc(pid, file);
      EXPECT_EQ(text.find(hex), std::string::npos) << file;
      EXPECT_EQ(text.find(raw), std::string::npos) << file;
    }
  }
  job.close_input();
  const JobResult result = job.wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err.find(hex), std::string::npos);
}

TEST(JobInput, ThreadsFollowTheCoresUnlessChosen) {
  const JobResult chosen = run_job(
      {"-np", "2", "sh", "-c", "echo $OMP_NUM_THREADS"},
      {.environment = {{"OMP_NUM_THREADS", "5"}}});
  EXPECT_EQ(count_of(chosen.out, "] 5\n"), 2U);
  const JobResult pinned = run_job(
      {"-np",
       "1",
       "env",
       "-u",
       "OMP_NUM_THREADS",
       "taskset",
       "-c",
       "0",
       FARANDOLERUN,
       "-np",
       "2",
       "sh",
       "-c",
       "echo threads $OMP_NUM_THREADS"});
  EXPECT_EQ(count_of(pinned.out, "threads 1\n"), 2U) << pinned.out << pinned.err;
}

TEST(JobInput, AJobWithinAJobHasItsOwnPlace) {
  const JobResult result = run_job(
      {"-np",
       "2",
       "sh",
       "-c",
       "exec \"$0\" -np 3 sh -c 'echo size $FARANDOLE_SIZE $HOROVOD_SIZE'",
       FARANDOLERUN});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(count_of(result.out, "size 3 3\n"), 6U);
}

}  // namespace
}  // namespace farandole::launch

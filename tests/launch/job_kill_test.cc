// Whatever is killed, nothing of the job stays: the mark in the environment finds every process.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cstdlib>

#include "tests/launch/job_process.h"

namespace farandole::launch {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr Duration kNothingLeft = 5s;

struct Victims {
  const char* name;
  bool launcher;
  bool agent;
  bool keepers;
};

void PrintTo(const Victims& victims, std::ostream* out) {
  *out << victims.name;
}

class JobKill : public testing::TestWithParam<Victims> {
 protected:
  // Two ranks, each a shell around a Python with four workers.
  JobProcess job_{{"-np", "2", "bash", "-c", "python3 " + program("tree.py") + "; true"}};
};

TEST_P(JobKill, LeavesNothing) {
  ASSERT_TRUE(job_.wait_for("worker up", 8)) << job_.err();
  const auto agents = job_.named("fdl-agent");
  auto victims = job_.named("fdl-keeper-0");
  ASSERT_THAT(agents, SizeIs(1));
  ASSERT_THAT(victims, SizeIs(1));
  if (!GetParam().keepers)
    victims.clear();
  if (GetParam().agent)
    victims.insert(victims.begin(), agents.front());
  if (GetParam().launcher)
    victims.insert(victims.begin(), job_.pid());
  for (const pid_t victim : victims) kill(victim, SIGKILL);
  EXPECT_THAT(job_.left_after(kNothingLeft), IsEmpty());
  const JobResult result = job_.wait();
  EXPECT_EQ(result.exit_code, 137) << result.err;
  if (GetParam().launcher)
    return;
  const std::string expected = GetParam().agent
                                   ? "was ended by SIGKILL; its ranks were ended with it\n"
                                   : "farandolerun: the keeper of rank 0 ";
  EXPECT_THAT(result.err, HasSubstr(expected));
}

INSTANTIATE_TEST_SUITE_P(
    Matrix,
    JobKill,
    testing::Values(
        Victims{"launcher", true, false, false},
        Victims{"agent", false, true, false},
        Victims{"launcherAndAgent", true, true, false},
        Victims{"keeper", false, false, true},
        Victims{"launcherAndKeeper", true, false, true},
        Victims{"agentAndKeeper", false, true, true}),
    [](const auto& info) { return info.param.name; });

// Sanitizers leave such faults to the kernel, which ends who has one.
JobProcess::Setup without_handlers() {
  JobProcess::Setup setup;
  for (const char* name : {"ASAN_OPTIONS", "TSAN_OPTIONS"}) {
    const char* own = std::getenv(name);
    setup.environment[name] = std::string(own != nullptr ? own : "") + ":handle_segv=0";
  }
  return setup;
}

// As a fault of its own would end it.
void crash(pid_t pid) {
  const rlimit no_core_file{0, 0};
  EXPECT_EQ(prlimit(pid, RLIMIT_CORE, &no_core_file, nullptr), 0);
  EXPECT_EQ(kill(pid, SIGSEGV), 0);
}

TEST(JobCrash, OfTheLauncherLeavesNothing) {
  JobProcess job({"-np", "2", "sh", "-c", "echo up; exec sleep 100"}, without_handlers());
  ASSERT_TRUE(job.wait_for("up", 2)) << job.err();
  crash(job.pid());
  EXPECT_THAT(job.left_after(kNothingLeft), IsEmpty());
  EXPECT_EQ(job.wait().exit_code, 139);
}

TEST(JobCrash, OfTheAgentIsToldAndLeavesNothing) {
  JobProcess job({"-np", "2", "sh", "-c", "echo up; exec sleep 100"}, without_handlers());
  ASSERT_TRUE(job.wait_for("up", 2)) << job.err();
  const auto agents = job.named("fdl-agent");
  ASSERT_THAT(agents, SizeIs(1));
  crash(agents.front());
  EXPECT_THAT(job.left_after(kNothingLeft), IsEmpty());
  const JobResult result = job.wait();
  EXPECT_EQ(result.exit_code, 139);
  EXPECT_THAT(result.err, HasSubstr("was ended by SIGSEGV; its ranks were ended with it\n"));
}

TEST(JobKillRank, TheRestOfItsTreeAndTheOtherRanksEnd) {
  JobProcess job({"-np", "2", "python3", program("tree.py")});
  ASSERT_TRUE(job.wait_for("worker up", 8));
  const auto keepers = job.named("fdl-keeper-1");
  ASSERT_THAT(keepers, SizeIs(1));
  for (const pid_t pid : job.processes()) {
    if (read_proc(pid, "status").find("\nPPid:\t" + std::to_string(keepers[0]) + "\n") !=
        std::string::npos)
      kill(pid, SIGKILL);
  }
  const JobResult result = job.wait();
  EXPECT_EQ(result.exit_code, 137);
  EXPECT_THAT(
      result.err,
      testing::ContainsRegex("rank 1 \\(host .*, pid [0-9]+\\) was ended by SIGKILL after"));
  EXPECT_THAT(job.processes(), IsEmpty());
}

TEST(JobKillRank, WhatARankLeavesBehindEndsWithIt) {
  JobProcess job({"-np", "2", "python3", program("tree.py"), "leave", "0"});
  const JobResult result = job.wait();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(job.processes(), IsEmpty());
}

TEST(JobKillRank, AStoppedRankEndsToo) {
  JobProcess job({"-np", "2", "sh", "-c", "echo up; kill -STOP $$"});
  ASSERT_TRUE(job.wait_for("up", 2));
  job.kill(SIGKILL);
  EXPECT_THAT(job.left_after(kNothingLeft), IsEmpty());
}

}  // namespace
}  // namespace farandole::launch

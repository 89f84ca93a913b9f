// What is read from /proc and /sys.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "controller/launch/cgroup.h"
#include "controller/launch/process_tree.h"
#include "controller/launch/signals.h"

namespace farandole::launch {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

TEST(ParseStat, TakesAnyProgramName) {
  EXPECT_EQ(parse_stat("12 (sh) S 3 4 5 6"), (ProcessInfo{12, 3, 4, 'S'}));
  EXPECT_EQ(parse_stat("12 (a) Z 1 (b) (\n) R 3 4 5"), (ProcessInfo{12, 3, 4, 'R'}));
  for (const char* text : {"", "x", "12", "12 (sh)", "12 (sh) ", "12 (sh) S", "12 (sh) S x y"})
    EXPECT_EQ(parse_stat(text), std::nullopt) << text;
}

TEST(Descendants, FollowsBranchesAndSkips) {
  const std::vector<ProcessInfo> all = {
      {1, 0, 1, 'S'},
      {2, 1, 2, 'S'},
      {3, 2, 2, 'S'},
      {4, 3, 4, 'R'},
      {5, 2, 2, 'Z'},
      {6, 5, 6, 'S'},
      {7, 1, 7, 'S'}};
  const auto pids = [](const std::vector<ProcessInfo>& found) {
    std::vector<pid_t> pids;
    for (const ProcessInfo& info : found) pids.push_back(info.pid);
    return pids;
  };
  EXPECT_THAT(pids(descendants(all, 2)), UnorderedElementsAre(3, 4, 6));
  EXPECT_THAT(
      pids(descendants(all, 1, [](pid_t pid) { return pid == 3; })), UnorderedElementsAre(2, 6, 7));
  EXPECT_THAT(pids(descendants(all, 7)), IsEmpty());
}

TEST(Descendants, EndsOnALoop) {
  EXPECT_EQ(descendants({{2, 3, 2, 'S'}, {3, 2, 2, 'S'}}, 2).size(), 2U);
}

TEST(AllProcesses, SeesThisOne) {
  const auto all = all_processes();
  const auto self = std::find_if(
      all.begin(), all.end(), [](const ProcessInfo& info) { return info.pid == getpid(); });
  ASSERT_NE(self, all.end());
  EXPECT_EQ(self->parent, getppid());
  EXPECT_EQ(self->group, getpgrp());
}

TEST(SignalName, IsTheUsualOne) {
  EXPECT_EQ(signal_name(SIGTERM), "SIGTERM");
  EXPECT_EQ(signal_name(SIGSEGV), "SIGSEGV");
  EXPECT_EQ(signal_name(60), "signal 60");
}

TEST(Cgroup, ReadsQuotasAndPaths) {
  EXPECT_EQ(parse_cpu_max("200000 100000\n"), 2.0);
  EXPECT_EQ(parse_cpu_max("max 100000\n"), std::nullopt);
  EXPECT_EQ(parse_cpu_max("-1\n 100000\n"), std::nullopt);
  EXPECT_EQ(parse_cpu_max(""), std::nullopt);
  const char* const membership = "4:memory:/m\n3:cpu,cpuacct:/c/d\n0::/u\n";
  EXPECT_EQ(cgroup_path(membership, "cpu"), "/c/d");
  EXPECT_EQ(cgroup_path(membership, "memory"), "/m");
  EXPECT_EQ(cgroup_path(membership, ""), "/u");
  EXPECT_EQ(cgroup_path(membership, "cpuset"), std::nullopt);
}

class CgroupTree : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "launch_cgroup_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void add(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  SystemFiles files() const { return {(root_ / "proc").string(), (root_ / "cgroup").string()}; }
  std::filesystem::path root_;
};

TEST_F(CgroupTree, TheTightestQuotaAboveUsBoundsTheCores) {
  add("proc/self/cgroup", "0::/slice/job\n");
  add("cgroup/slice/job/cpu.max", "max 100000\n");
  add("cgroup/slice/cpu.max", "50000 100000\n");
  EXPECT_EQ(usable_cores(files()), 0.5);
}

TEST_F(CgroupTree, TheFirstVersionCountsToo) {
  add("proc/self/cgroup", "2:cpu,cpuacct:/job\n");
  add("cgroup/cpu/job/cpu.cfs_quota_us", "25000\n");
  add("cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(usable_cores(files()), 0.25);
}

TEST_F(CgroupTree, WithoutQuotaAffinityHolds) {
  add("proc/self/cgroup", "0::/\n");
  EXPECT_GE(usable_cores(files()), 1.0);
}

TEST_F(CgroupTree, CountsKillsForMemory) {
  add("proc/self/cgroup", "5:memory:/job\n0::/slice\n");
  EXPECT_EQ(memory_kills(files()), 0U);
  add("proc/vmstat", "pgfault 9\noom_kill 4\n");
  add("cgroup/slice/memory.events", "oom 7\noom_kill 2\noom_group_kill 9\n");
  add("cgroup/memory/job/memory.oom_control", "under_oom 0\noom_kill 1\n");
  EXPECT_EQ(memory_kills(files()), 7U);
}

}  // namespace
}  // namespace farandole::launch

#include "core/base/cgroup.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace farandole {
namespace {

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
}  // namespace farandole

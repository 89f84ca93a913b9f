// --bind-to: what the kernel says of the ranks.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/affinity.h"
#include "core/base/cgroup.h"
#include "tests/launch/job_process.h"

namespace farandole::launch {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::vector<std::string> kShow{"grep", "Cpus_allowed_list", "/proc/self/status"};

JobResult job_of(std::vector<std::string> flags, const JobProcess::Setup& setup = {}) {
  flags.insert(flags.end(), kShow.begin(), kShow.end());
  return run_job(flags, setup);
}

std::string line_of(int rank, const std::string& cpus) {
  return fmt::format("[{}] Cpus_allowed_list:\t{}\n", rank, cpus);
}

CpuSet usable() {
  const auto own = own_affinity();
  EXPECT_TRUE(own);
  return own.value();
}

// A machine that hwloc makes up of `nodes` memories with one of our first CPUs each.
JobProcess::Setup made_up(int nodes) {
  return {
      .environment = {
          {"HWLOC_SYNTHETIC", fmt::format("numa:{} core:1 pu:1", nodes)},
          {"HWLOC_THISSYSTEM", "1"}}};
}

TEST(JobBinding, NothingIsBoundUnlessAskedFor) {
  const std::string all = cpu_list(usable());
  const JobResult result = job_of({"-np", "2", "--verbose"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr(line_of(0, all)));
  EXPECT_THAT(result.out, HasSubstr(line_of(1, all)));
  EXPECT_THAT(result.err, Not(HasSubstr("is bound")));
  EXPECT_EQ(job_of({"-np", "1", "--bind-to", "none"}).out, line_of(0, all));
}

TEST(JobBinding, EachRankRunsOnItsOwnThread) {
  const CpuSet own = usable();
  std::vector<std::string> flags{"-np", fmt::format("{}", own.size()), "--bind-to", "hwthread"};
  flags.emplace_back("--verbose");
  const JobResult result = job_of(flags);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const int cpu : own) {
    const std::string text = fmt::format("Cpus_allowed_list:\t{}\n", cpu);
    EXPECT_EQ(count_of(result.out, text), 1U) << result.out;
    EXPECT_THAT(result.err, HasSubstr(fmt::format("is bound to hwthread with CPUs {}\n", cpu)));
  }
}

TEST(JobBinding, ARestrictedLauncherBindsInsideOfIt) {
  const int last = *usable().rbegin();
  const JobResult result = job_of(
      {"-c", fmt::format("{}", last), FARANDOLERUN, "-np", "1", "--bind-to", "socket"},
      {.launcher = "/usr/bin/taskset"});
  EXPECT_EQ(result.out, line_of(0, fmt::format("{}", last))) << result.err;
}

TEST(JobBinding, MoreRanksThanCoresAreRefusedBeforeAnythingStarts) {
  const int most = static_cast<int>(usable().size());
  const JobResult result = job_of({"-np", fmt::format("{}", most + 1), "--bind-to", "hwthread"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(
      result.err,
      HasSubstr(fmt::format("{} ranks are more than the {} hardware threads", most + 1, most)));
}

TEST(JobBinding, MemoriesAreTakenInTurn) {
  const CpuSet own = usable();
  if (!own.contains(0) || !own.contains(1))
    GTEST_SKIP() << "hwloc's made-up machines have CPUs 0 and 1, which this process may not use";
  const JobResult result = job_of({"-np", "2", "--bind-to", "numa"}, made_up(2));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr(line_of(0, "0")));
  EXPECT_THAT(result.out, HasSubstr(line_of(1, "1")));
}

TEST(JobBinding, AnotherMachineIsRefused) {
  const JobProcess::Setup setup{.environment = {{"HWLOC_SYNTHETIC", "numa:2 core:1 pu:1"}}};
  const JobResult result = job_of({"-np", "1", "--bind-to", "numa"}, setup);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("describes another machine"));
}

TEST(JobBinding, ThreadsAreAsManyAsARankHasCores) {
  const JobResult result = run_job(
      {"-np", "1", "--bind-to", "hwthread", "sh", "-c", "echo $OMP_NUM_THREADS"},
      {.environment = {}});
  EXPECT_EQ(result.out, "[0] 1\n") << result.err;
}

TEST(JobBinding, BoundRanksKnowHowManyCoresTheyShare) {
  const std::vector<std::string> show{"sh", "-c", "echo cores $FARANDOLE_HOST_CORES"};
  const auto shown = [&](std::vector<std::string> flags) {
    flags.insert(flags.end(), show.begin(), show.end());
    return run_job(flags, {.environment = {{"FARANDOLE_HOST_CORES", "4711"}}}).out;
  };
  const auto cores = static_cast<int>(usable_cores());
  EXPECT_EQ(shown({"-np", "1", "--bind-to", "hwthread"}), fmt::format("[0] cores {}\n", cores));
  EXPECT_EQ(shown({"-np", "1"}), "[0] cores\n");
}

TEST(JobBinding, CoresOfThreadsAreCheckedBeforeAnythingStarts) {
  const CpuSet own = usable();
  const std::string first = fmt::format("{}", *own.begin());
  const std::string last = fmt::format("{}", *own.rbegin());
  const std::string beyond = fmt::format("{}", *own.rbegin() + 1);
  const auto refusal = [](std::vector<std::string> flags, const JobProcess::Setup& setup = {}) {
    const JobResult result = job_of(std::move(flags), setup);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.out, "");
    return result.err;
  };
  EXPECT_EQ(job_of({"-np", "1", "--thread-affinity", last}).exit_code, 0);
  EXPECT_THAT(
      refusal({"-np", "2", "--thread-affinity", first}),
      HasSubstr("names 1 core, but 2 ranks run on this host"));
  const std::string outside = fmt::format("core {} of local rank 0 is not among CPUs ", beyond);
  for (const char* const variable : {"FARANDOLE_THREAD_AFFINITY", "HOROVOD_THREAD_AFFINITY"})
    EXPECT_THAT(
        refusal({"-np", "1"}, {.environment = {{variable, beyond}}}),
        HasSubstr(outside + cpu_list(own)));
  EXPECT_THAT(
      refusal({"-np", "1", "--bind-to", "hwthread", "--thread-affinity", beyond}),
      HasSubstr(outside + first + ", to which --bind-to hwthread binds it"));
}

TEST(JobBinding, RanksDoNotSeeWhatHwlocWasTold) {
  const JobResult result = run_job({"-np", "1", "--bind-to", "hwthread", "env"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, Not(HasSubstr("HWLOC_PLUGINS_PATH")));
}

}  // namespace
}  // namespace farandole::launch

#include "controller/launch/binding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/launch/machine.h"

namespace farandole::launch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

CpuSet cpus(int first, int last) {
  CpuSet set;
  for (int cpu = first; cpu <= last; ++cpu) set.insert(cpu);
  return set;
}

// hwloc's made-up machine, of which the first so many CPUs or those named may be used.
MachineParts machine(const char* synthetic, const CpuSet& usable = cpus(0, 63)) {
  auto parts = read_machine(usable, synthetic);
  EXPECT_TRUE(parts) << parts.status().message();
  return parts ? parts.value() : MachineParts{};
}

std::vector<std::string> bound(const MachineParts& parts, BindPolicy policy, int ranks) {
  const auto sets = bind_ranks(parts, policy, ranks);
  EXPECT_TRUE(sets) << sets.status().message();
  std::vector<std::string> texts;
  if (sets)
    for (const CpuSet& set : sets.value()) texts.push_back(cpu_list(set));
  return texts;
}

constexpr const char* kTwoSockets = "package:2 numa:2 core:2 pu:2";  // 16 CPUs
using enum MachinePart;

TEST(CpuList, IsWrittenAsTheKernelDoes) {
  EXPECT_EQ(cpu_list({}), "");
  EXPECT_EQ(cpu_list({7}), "7");
  EXPECT_EQ(cpu_list({0, 1, 2, 3, 8, 10, 11}), "0-3,8,10-11");
}

TEST(MachineParts, HaveTheirNames) {
  for (const char* const word : {"none", "hwthread", "core", "numa", "socket"}) {
    ASSERT_TRUE(parse_machine_part(word)) << word;
    EXPECT_STREQ(name_of(*parse_machine_part(word)), word);
  }
  for (const char* const word : {"", "Core", "cores", "slot"})
    EXPECT_EQ(parse_machine_part(word), std::nullopt) << word;
}

TEST(Machine, IsReadWithHwloc) {
  const MachineParts parts = machine(kTwoSockets);
  EXPECT_EQ(parts.hwthreads.size(), 16U);
  EXPECT_EQ(parts.cores.size(), 8U);
  EXPECT_THAT(parts.numas, ElementsAre(cpus(0, 3), cpus(4, 7), cpus(8, 11), cpus(12, 15)));
  EXPECT_THAT(parts.sockets, ElementsAre(cpus(0, 7), cpus(8, 15)));
}

TEST(Machine, IsWhatMayBeUsedOfIt) {
  const MachineParts parts = machine(kTwoSockets, {1, 2, 3, 9, 40});
  EXPECT_THAT(parts.hwthreads, ElementsAre(CpuSet{1}, CpuSet{2}, CpuSet{3}, CpuSet{9}));
  EXPECT_THAT(parts.cores, ElementsAre(CpuSet{1}, cpus(2, 3), CpuSet{9}));
  EXPECT_THAT(parts.numas, ElementsAre(cpus(1, 3), CpuSet{9}));
  EXPECT_THAT(parts.sockets, ElementsAre(cpus(1, 3), CpuSet{9}));
  const auto none = read_machine({40}, kTwoSockets);
  EXPECT_THAT(none.status().message(), HasSubstr("none of the CPUs 40"));
}

TEST(Machine, MayLackParts) {
  const MachineParts parts = machine("pu:3");
  EXPECT_EQ(parts.cores.size(), 3U);
  EXPECT_THAT(parts.numas, ElementsAre(cpus(0, 2)));
  EXPECT_THAT(parts.sockets, ElementsAre(cpus(0, 2)));
}

TEST(Machine, OfOddTextIsAnError) {
  EXPECT_FALSE(read_machine(cpus(0, 3), "nonsense:2"));
}

TEST(Machine, ThisOneHasWhatThisProcessMayUse) {
  const auto usable = own_affinity();
  ASSERT_TRUE(usable);
  const auto parts = read_machine(usable.value());
  ASSERT_TRUE(parts) << parts.status().message();
  const MachineParts& own = parts.value();
  for (const auto* const kind : {&own.hwthreads, &own.cores, &own.numas, &own.sockets}) {
    CpuSet all;
    for (const CpuSet& part : *kind) all.insert(part.begin(), part.end());
    EXPECT_EQ(all, usable.value());
  }
}

TEST(Binding, GivesEachRankItsPart) {
  const MachineParts parts = machine(kTwoSockets);
  EXPECT_THAT(bound(parts, {Hwthread}, 3), ElementsAre("0", "1", "2"));
  EXPECT_THAT(bound(parts, {Core}, 3), ElementsAre("0-1", "2-3", "4-5"));
  EXPECT_THAT(bound(parts, {Numa}, 5), ElementsAre("0-3", "4-7", "8-11", "12-15", "0-3"));
  EXPECT_THAT(bound(parts, {Socket}, 3), ElementsAre("0-7", "8-15", "0-7"));
}

TEST(Binding, GoesOverPartsInTurn) {
  const MachineParts parts = machine(kTwoSockets);
  EXPECT_THAT(bound(parts, {Core, Socket}, 4), ElementsAre("0-1", "8-9", "2-3", "10-11"));
  EXPECT_THAT(bound(parts, {Core, Numa}, 3), ElementsAre("0-1", "4-5", "8-9"));
  EXPECT_THAT(bound(parts, {Hwthread, Core}, 3), ElementsAre("0", "2", "4"));
  EXPECT_THAT(bound(parts, {Core, Hwthread}, 3), ElementsAre("0-1", "2-3", "4-5"));
  EXPECT_THAT(bound(parts, {Socket, Hwthread}, 5), ElementsAre("0-7", "0-7", "0-7", "0-7", "8-15"));
}

TEST(Binding, SharesNoCoreWhereSocketsDiffer) {
  // One core of the first socket, four of the second.
  const MachineParts parts = machine(kTwoSockets, {0, 8, 10, 12, 14});
  EXPECT_THAT(
      bound(parts, {Socket}, 5),
      ElementsAre("0", "8,10,12,14", "8,10,12,14", "8,10,12,14", "8,10,12,14"));
  EXPECT_THAT(bound(parts, {Core, Socket}, 5), ElementsAre("0", "8", "10", "12", "14"));
}

TEST(Binding, OfMoreRanksThanCoresIsRefused) {
  const MachineParts parts = machine("package:1 core:2 pu:2");
  EXPECT_EQ(
      bind_ranks(parts, {Core}, 3).status().message(),
      "--bind-to core: 3 ranks are more than the 2 cores that may be used here (CPUs 0-3); start "
      "fewer, use --bind-to hwthread or leave --bind-to out");
  EXPECT_EQ(
      bind_ranks(parts, {Hwthread}, 5).status().message(),
      "--bind-to hwthread: 5 ranks are more than the 4 hardware threads that may be used here "
      "(CPUs 0-3); start fewer, or leave --bind-to out");
  EXPECT_FALSE(bind_ranks(parts, {Socket}, 3));
  EXPECT_EQ(bound(parts, {Hwthread}, 4).size(), 4U);
}

TEST(ThreadCores, AreThoseOfTheRankOrOfTheHost) {
  const std::vector<CpuSet> two{cpus(0, 1), cpus(2, 3)};
  const std::vector<CpuSet> none;
  const auto problem = [](const std::vector<int>& cores, const auto& policy, const auto& bound) {
    return check_thread_cores(cores, 2, cpus(0, 3), policy, bound).message();
  };
  EXPECT_EQ(problem({}, BindPolicy{}, none), "");
  EXPECT_EQ(problem({3, 3}, BindPolicy{}, none), "");
  EXPECT_EQ(problem({0, 3, 99}, BindPolicy{Core}, two), "");
  EXPECT_EQ(
      problem({3}, BindPolicy{}, none),
      "--thread-affinity (FARANDOLE_THREAD_AFFINITY): 3 names 1 core, but 2 ranks run "
      "on this host; name one for each");
  EXPECT_EQ(
      problem({3, 4}, BindPolicy{}, none),
      "--thread-affinity (FARANDOLE_THREAD_AFFINITY): core 4 of local rank 1 is not among CPUs "
      "0-3, which may be used here; name one of these");
  EXPECT_EQ(
      problem({1, 0}, BindPolicy{Core}, two),
      "--thread-affinity (FARANDOLE_THREAD_AFFINITY): core 0 of local rank 1 is not among CPUs "
      "2-3, to which --bind-to core binds it; name one of these, or leave --bind-to out");
}

TEST(Binding, SharesProcessorsOutAmongThreads) {
  const std::vector<CpuSet> sets{cpus(0, 7), cpus(8, 15), cpus(0, 7)};
  EXPECT_EQ(share_of(sets, 0), 4.0);
  EXPECT_EQ(share_of(sets, 1), 8.0);
}

}  // namespace
}  // namespace farandole::launch

// What is read from /proc.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

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
  const auto listed = all_processes();
  ASSERT_TRUE(listed) << listed.status().message();
  const std::vector<ProcessInfo>& all = listed.value();
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

}  // namespace
}  // namespace farandole::launch

// How long a session's loop looks before it blocks follows from the group that has formed.

#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "bindings/session_factory.h"
#include "core/session.h"
#include "tests/support/session_cluster.h"

namespace farandole {
namespace {

TEST(Linger, IsForHostsWithACoreForEachOfTheirRanks) {
  Config config;
  config.spin_time = 70us;
  const auto with = [&](int ranks, double cores) {
    return linger_of({.size = 16, .local_size = ranks}, config, cores);
  };
  EXPECT_EQ(with(2, 2), config.spin_time);
  EXPECT_EQ(with(1, 1.5), config.spin_time);
  EXPECT_EQ(with(2, 1.5), Duration::zero());
  EXPECT_EQ(with(4, 2), Duration::zero());
}

// Of one thread of this process, as the kernel tells: 'S' where it is blocked, and its clock ticks.
struct Activity {
  char state = 0;
  uint64_t ticks = 0;
};

// Of the loops of all sessions in this process.
std::vector<Activity> loops() {
  std::vector<Activity> found;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string stat;
    std::getline(std::ifstream(task.path() / "stat"), stat);
    if (stat.find("(fdl-io)") == std::string::npos)
      continue;
    std::istringstream fields(stat.substr(stat.rfind(')') + 1));
    Activity loop;
    std::string skipped;
    uint64_t system = 0;
    fields >> loop.state;
    for (int field = 4; field < 14; ++field) fields >> skipped;
    fields >> loop.ticks >> system;
    loop.ticks += system;
    found.push_back(loop);
  }
  return found;
}

// Whether both loops of a job of two come to `wanted` at some time after they have had a message.
template <typename Wanted>
void expect_of_loops(const char* host_of_rank_1, const Wanted& wanted) {
  const auto barrier = [](Session& session) {
    Request request;
    request.signature.kind = CollectiveKind::Barrier;
    Result<std::vector<TicketPtr>> tickets = session.submit({request});
    ASSERT_TRUE(tickets) << tickets.status().message();
    ASSERT_TRUE(session.wait_until(*tickets.value()[0], steady_now() + 60s));
    ASSERT_TRUE(tickets.value()[0]->status().is_ok());
  };
  testing::run_cluster(
      2,
      [&](Config& config) {
        config.spin_time = 3600s;
        config.host = config.rank == 0 ? "h0" : host_of_rank_1;
      },
      [&](Session& session, int rank) {
        barrier(session);
        std::vector<bool> seen(2, false);
        const TimePoint deadline = steady_now() + 20s;
        while (rank == 0 && !(seen[0] && seen[1]) && steady_now() < deadline) {
          const std::vector<Activity> now = loops();
          ASSERT_EQ(now.size(), 2U);
          for (size_t i = 0; i < 2; ++i) seen[i] = seen[i] || wanted(now[i]);
          std::this_thread::yield();
        }
        EXPECT_TRUE(rank != 0 || (seen[0] && seen[1]));
        barrier(session);
      });
}

// Two idle loops use a tick in many seconds. (A heartbeat costs some ten microseconds.)
TEST(Linger, ASessionWithACoreForEachRankOfItsHostLooks) {
  expect_of_loops("h1", [](const Activity& loop) { return loop.ticks >= 20; });
}

// This thread's cores are those of the threads it starts.
TEST(Linger, ASessionWithFewerCoresBlocksAtOnce) {
  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  CPU_ZERO(&one);
  int core = 0;
  while (!CPU_ISSET(core, &before)) ++core;
  CPU_SET(core, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  expect_of_loops("h0", [](const Activity& loop) { return loop.state == 'S'; });
  EXPECT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}

}  // namespace
}  // namespace farandole

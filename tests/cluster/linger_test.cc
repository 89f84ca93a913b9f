// How long a session's loop looks before it blocks follows from the group that has formed.

#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>
#include <fstream>
#include <string>

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

// Of the loops of all sessions in this process, as the kernel tells: 'S' blocked, 'R' on a core or
// waiting for one, which a loop that looks always is, however busy the machine.
std::string states_of_loops() {
  std::string states;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string stat;
    std::getline(std::ifstream(task.path() / "stat"), stat);
    if (stat.find("(fdl-io)") != std::string::npos)
      states += stat.at(stat.rfind(')') + 2);
  }
  return states;
}

// Whether both loops of a job of two, once they have had a message, are seen `wanted` so many times
// in a row. Nothing comes meanwhile, heartbeats included.
void expect_of_loops(const char* host_of_rank_1, char wanted, int in_a_row) {
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
        config.heartbeat_interval = 60s;
        config.heartbeat_timeout = 300s;
        config.host = config.rank == 0 ? "h0" : host_of_rank_1;
      },
      [&](Session& session, int rank) {
        barrier(session);
        int seen = 0;
        const TimePoint deadline = steady_now() + 20s;
        while (rank == 0 && seen < in_a_row && steady_now() < deadline)
          seen = states_of_loops() == std::string(2, wanted) ? seen + 1 : 0;
        EXPECT_TRUE(rank != 0 || seen == in_a_row);
        barrier(session);
      });
}

TEST(Linger, ASessionWithACoreForEachRankOfItsHostLooks) {
  expect_of_loops("h1", 'R', 300);
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
  expect_of_loops("h0", 'S', 20);
  EXPECT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}

}  // namespace
}  // namespace farandole

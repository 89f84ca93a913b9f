// How long a session's loop looks before it blocks follows from the group that has formed.

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include <atomic>
#include <climits>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "bindings/session_factory.h"
#include "core/base/affinity.h"
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
// waiting for one.
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

void pass_barrier(Session& session) {
  Request request;
  request.signature.kind = CollectiveKind::Barrier;
  Result<std::vector<TicketPtr>> tickets = session.submit({request});
  ASSERT_TRUE(tickets) << tickets.status().message();
  ASSERT_TRUE(session.wait_until(*tickets.value()[0], steady_now() + 60s));
  ASSERT_TRUE(tickets.value()[0]->status().is_ok());
}

// A job of two whose loops may look for an hour, and to which no heartbeats come.
void run_two(
    const std::function<void(Config&)>& adjust,
    const std::function<void(Session&, int rank)>& body) {
  testing::run_cluster(
      2,
      [&](Config& config) {
        config.spin_time = 3600s;
        config.heartbeat_interval = 60s;
        config.heartbeat_timeout = 300s;
        adjust(config);
      },
      body);
}

// While one lives, this thread and those it starts go before others of the machine, by weight,
// where it may say so, which is root's: a loop that is kept from its core looks no longer, and
// rightly.
class Foremost {
 public:
  Foremost() : before_(getpriority(PRIO_PROCESS, 0)) { setpriority(PRIO_PROCESS, 0, -20); }
  ~Foremost() { setpriority(PRIO_PROCESS, 0, before_); }
  Foremost(const Foremost&) = delete;
  Foremost& operator=(const Foremost&) = delete;

 private:
  int before_;
};

// They look until others keep them from their cores for a millisecond, and do without for some
// waits then: so not after each message, but still half a millisecond after some of a thousand, or
// of the next thousand where others were busy.
void expect_looks(const std::function<void(Config&)>& adjust, const CpuSet& callers) {
  constexpr int kRounds = 1000, kSome = 5;  // of loops that do not look one is seen at most
  const Foremost foremost;
  const TimePoint deadline = steady_now() + 30s;
  std::atomic<int> last{INT_MAX};
  run_two(adjust, [&](Session& session, int rank) {
    ASSERT_EQ(bind_to(callers), 0);
    int seen = 0;
    for (int round = 0; round < last; ++round) {
      pass_barrier(session);
      if (round % kRounds == 0 && last == INT_MAX)
        seen = 0;
      const TimePoint later = steady_now() + 500us;
      while (rank == 0 && steady_now() < later) {
      }
      seen += rank == 0 && states_of_loops() == "RR" ? 1 : 0;
      // Ends both after the next one.
      if (rank == 0 && last == INT_MAX && (seen >= kSome || steady_now() > deadline))
        last = round + 2;
    }
    EXPECT_TRUE(rank != 0 || seen >= kSome) << seen;
    pass_barrier(session);
  });
}

TEST(Linger, ASessionWithACoreForEachRankOfItsHostLooks) {
  expect_looks(
      [](Config& config) { config.host = config.rank == 0 ? "h0" : "h1"; }, own_affinity().value());
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
  const auto on_one_host = [](Config& config) { config.host = "h0"; };
  run_two(on_one_host, [](Session& session, int rank) {
    pass_barrier(session);
    int seen = 0;
    const TimePoint deadline = steady_now() + 20s;
    while (rank == 0 && seen < 20 && steady_now() < deadline)
      seen = states_of_loops() == "SS" ? seen + 1 : 0;
    EXPECT_TRUE(rank != 0 || seen == 20);
    pass_barrier(session);
  });
  EXPECT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}

// As under --bind-to: a rank sees a core of its own, and is told that there is one for each.
TEST(Linger, ABoundSessionLooksWhereItsHostHasTheCores) {
  const CpuSet own = own_affinity().value();
  if (own.size() < 2)
    GTEST_SKIP() << "two cores are needed";
  const int first = *own.begin(), second = *std::next(own.begin());
  ASSERT_EQ(bind_to({second}), 0);
  expect_looks(
      [&](Config& config) {
        config.host = "h0";
        config.host_cores = 2;
        config.thread_affinity = {first, second};
      },
      own);
  ASSERT_EQ(bind_to(own), 0);
}

}  // namespace
}  // namespace farandole

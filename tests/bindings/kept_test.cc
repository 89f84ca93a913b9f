// Handles and sessions that are kept after the shutdown: nothing of the session is left beside
// them, and what they say is of their own operations.

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "tests/bindings/c_job.h"
#include "tests/support/descriptors.h"
#include "tests/support/threads.h"

namespace farandole::testing {
namespace {

using ::testing::HasSubstr;

struct Used {
  size_t threads = 0;
  size_t descriptors = 0;
  size_t segments = 0;
  bool operator==(const Used&) const = default;
};

Used used() {
  Used now{.threads = live_threads(), .descriptors = open_descriptors()};
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    now.segments += line.find("/memfd:farandole") != std::string::npos ? 1 : 0;
  return now;
}

// What a rank of two keeps.
struct Kept {
  fdl_session* session = nullptr;
  fdl_handle* finished = nullptr;
  fdl_handle* unlike = nullptr;
  fdl_handle* pending = nullptr;
  fdl_handle* adding = nullptr;
  double one = 1;
  double sum = 0;
};

void leave_with_all_kept(const TestJob& job, int rank, const char* over, Kept& kept) {
  kept.session = start(job, rank, 2, {{"communicator", over}});
  ASSERT_NE(kept.session, nullptr);
  const double in = rank + 1;
  ASSERT_OK(fdl_allgather(kept.session, "g", &in, 1, 1, FDL_FLOAT64, &kept.finished));
  ASSERT_OK(fdl_allreduce_async(
      kept.session,
      "u",
      &kept.one,
      &kept.sum,
      1,
      rank == 0 ? FDL_FLOAT64 : FDL_INT64,
      FDL_SUM,
      &kept.unlike));
  EXPECT_EQ(fdl_wait(kept.unlike, 60), FDL_MISMATCH);
  const int members = 0;
  ASSERT_OK(fdl_add_process_set_async(kept.session, &members, 1, &kept.adding));
  EXPECT_OK(fdl_wait(kept.adding, 60));
  const std::string own = "of rank " + std::to_string(rank);
  ASSERT_OK(fdl_allreduce_async(
      kept.session, own.c_str(), &kept.one, &kept.sum, 1, FDL_FLOAT64, FDL_SUM, &kept.pending));
  ASSERT_OK(fdl_barrier(kept.session));
  EXPECT_OK(fdl_shutdown(kept.session));
}

void check(const Kept& kept) {
  fdl_result result = FDL_RESULT_INIT;
  EXPECT_OK(fdl_wait(kept.finished, -1));
  ASSERT_OK(fdl_get_result(kept.finished, &result));
  EXPECT_EQ(static_cast<const double*>(result.data)[1], 2);
  EXPECT_FAILS(fdl_wait(kept.unlike, -1), FDL_MISMATCH, "allreduce \"u\": ");
  const fdl_code ended = fdl_wait(kept.pending, -1);  // by the own shutdown or the other's leave
  EXPECT_TRUE(ended == FDL_ABORTED || ended == FDL_PEER_LOST) << ended;
  EXPECT_THAT(fdl_last_error(), HasSubstr("allreduce \"of rank "));
  EXPECT_EQ(fdl_get_result(kept.pending, &result), ended);
  int settled = 0;
  EXPECT_OK(fdl_poll(kept.pending, &settled));
  EXPECT_EQ(settled, 1);
  ASSERT_OK(fdl_get_result(kept.adding, &result));
  EXPECT_EQ(result.value, 1);
}

void check_session(const Kept& kept, int rank) {
  EXPECT_EQ(fdl_rank(kept.session), rank);
  EXPECT_EQ(fdl_size(kept.session), 2);
  std::array<char, 64> host{};
  EXPECT_OK(fdl_host_of(kept.session, 1 - rank, host.data(), host.size()));
  EXPECT_NE(host[0], '\0');
  fdl_counters counters = FDL_COUNTERS_INIT;
  EXPECT_OK(fdl_get_counters(kept.session, &counters));
  EXPECT_EQ(counters.submitted, 5U);
  EXPECT_EQ(counters.settled_ok + counters.settled_failed, 5U);
  EXPECT_FAILS(fdl_health(kept.session), FDL_ABORTED, "the session is shut down");
  size_t count = 0;
  EXPECT_FAILS(
      fdl_process_sets(kept.session, nullptr, 0, &count), FDL_ABORTED, "the session is shut down");
  EXPECT_OK(fdl_stop_timeline(kept.session));
  EXPECT_OK(fdl_shutdown(kept.session));
}

void give_back(const Kept& kept) {
  for (fdl_handle* handle : {kept.finished, kept.unlike, kept.pending, kept.adding})
    EXPECT_OK(fdl_release(handle));
  EXPECT_OK(fdl_destroy(kept.session));
}

class KeptTest : public ::testing::TestWithParam<const char*> {};

TEST_P(KeptTest, NothingOfTheSessionIsLeftBesideWhatIsKept) {
  std::vector<std::array<Kept, 2>> rounds(3);
  const size_t segments = used().segments;  // of other tests, which had to leave some behind
  Used before;
  for (std::array<Kept, 2>& kept : rounds) {
    const bool first = &kept == rounds.data();
    {
      const TestJob job;
      std::vector<std::thread> ranks;
      for (int rank = 0; rank < 2; ++rank)
        ranks.emplace_back([&, rank] {
          leave_with_all_kept(job, rank, GetParam(), kept.at(static_cast<size_t>(rank)));
        });
      for (std::thread& rank : ranks) rank.join();
    }
    const Used now = used();
    if (first)  // what libraries make once for the process
      before = now;
    EXPECT_EQ(now.threads, before.threads);
    EXPECT_EQ(now.descriptors, before.descriptors);
    EXPECT_EQ(now.segments, segments);
  }
  for (const std::array<Kept, 2>& kept : rounds) {
    for (int rank = 0; rank < 2; ++rank) {
      const Kept& one = kept.at(static_cast<size_t>(rank));
      check(one);
      check_session(one, rank);
      give_back(one);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Over, KeptTest, ::testing::Values("shm", "gloo"));

// With one of the same name in flight in the session that follows.
TEST(Kept, AHandleIsOfItsOwnSession) {
  const TestJob first, second;
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < 2; ++rank) {
    ranks.emplace_back([&, rank] {
      double one = 1, old_sum = 0, sum = 0;
      fdl_session* before = start(first, rank, 2, {});
      fdl_handle* old = nullptr;
      const std::string name = rank == 0 ? "x" : "y";  // which the other never submits
      ASSERT_OK(
          fdl_allreduce_async(before, name.c_str(), &one, &old_sum, 1, FDL_FLOAT64, FDL_SUM, &old));
      ASSERT_OK(fdl_barrier(before));
      ASSERT_OK(fdl_destroy(before));
      fdl_session* session = start(second, rank, 2, {});
      fdl_handle* handle = nullptr;
      ASSERT_OK(fdl_allreduce_async(session, "x", &one, &sum, 1, FDL_FLOAT64, FDL_SUM, &handle));
      EXPECT_OK(fdl_wait(handle, 60));
      EXPECT_EQ(sum, 2);
      const fdl_code code = fdl_wait(old, -1);
      EXPECT_TRUE(code == FDL_ABORTED || code == FDL_PEER_LOST) << code;
      EXPECT_THAT(fdl_last_error(), HasSubstr("allreduce \"" + name + "\""));
      EXPECT_EQ(old_sum, 0);
      EXPECT_OK(fdl_release(old));
      EXPECT_OK(fdl_release(handle));
      EXPECT_OK(fdl_destroy(session));
    });
  }
  for (std::thread& rank : ranks) rank.join();
}

// While several threads wait, ask and submit; two of them shut it down.
TEST(Kept, AShutdownEndsWhatOtherThreadsDo) {
  run_job(2, [](fdl_session* session, int rank) {
    constexpr int kWaiting = 4;
    std::array<double, kWaiting> sums{};
    std::array<fdl_handle*, kWaiting> handles{};
    const double one = 1;
    for (size_t i = 0; i < kWaiting; ++i) {
      const std::string name = std::to_string(rank) + "/" + std::to_string(i);
      ASSERT_OK(fdl_allreduce_async(
          session, name.c_str(), &one, &sums.at(i), 1, FDL_FLOAT64, FDL_SUM, &handles.at(i)));
    }
    ASSERT_OK(fdl_barrier(session));  // so that nobody leaves before
    std::latch begun(kWaiting + 2);
    std::vector<std::thread> threads;
    for (fdl_handle* handle : handles)
      threads.emplace_back([&begun, handle] {
        begun.count_down();
        const fdl_code code = fdl_wait(handle, -1);
        EXPECT_TRUE(code == FDL_ABORTED || code == FDL_PEER_LOST) << code;
        EXPECT_OK(fdl_release(handle));
      });
    threads.emplace_back([&begun, session] {
      double data = 1;
      fdl_code code = FDL_OK;
      begun.count_down();
      for (int i = 0; code != FDL_ABORTED; ++i) {
        fdl_handle* handle = nullptr;
        const std::string name = std::to_string(fdl_rank(session)) + "-" + std::to_string(i);
        code = fdl_allreduce_async(
            session, name.c_str(), &data, &data, 1, FDL_FLOAT64, FDL_SUM, &handle);
        EXPECT_OK(fdl_release(handle));
        if (code == FDL_PEER_LOST || code == FDL_INVALID_ARGUMENT)  // the other left; max_pending
          code = fdl_health(session);
        if (code == FDL_PEER_LOST)
          return;
      }
      EXPECT_THAT(fdl_last_error(), HasSubstr("shut down"));
    });
    threads.emplace_back([&begun, session] {
      begun.arrive_and_wait();
      EXPECT_OK(fdl_shutdown(session));
      EXPECT_EQ(fdl_health(session), FDL_ABORTED);
    });
    begun.wait();
    EXPECT_OK(fdl_shutdown(session));
    for (std::thread& thread : threads) thread.join();
    EXPECT_OK(fdl_destroy(session));
  });
}

struct Gate {
  std::latch entered{1};
  std::latch open{1};
};

void hold(fdl_code, void* user) {
  auto* gate = static_cast<Gate*>(user);
  gate->entered.count_down();
  gate->open.wait();
}

void tell(fdl_code, void* user) {
  static_cast<std::latch*>(user)->count_down();
}

// A callback blocks the lane of rank 0, which none may: a shutdown cannot end what is behind that.
void leave_one_behind(fdl_session* session, std::latch& ready) {
  Gate gate;
  std::latch over(1);
  std::array<double, 3> data{1, 1, 0};
  std::array<fdl_handle*, 2> handles{};
  ASSERT_OK(fdl_allreduce_async(
      session, "held", &data[0], &data[0], 1, FDL_FLOAT64, FDL_SUM, &handles[0]));
  ASSERT_OK(fdl_on_done(handles[0], &hold, &gate));
  ready.count_down();
  gate.entered.wait();
  ASSERT_OK(fdl_allreduce_async(
      session, "behind", &data[1], &data[1], 1, FDL_FLOAT64, FDL_SUM, &handles[1]));
  ASSERT_OK(fdl_on_done(handles[1], &tell, &over));
  // Agreed upon after it, and carried out beside it.
  EXPECT_OK(fdl_recv(session, "word", &data[2], 1, FDL_FLOAT64, 1));
  std::thread waiter(
      [&] { EXPECT_FAILS(fdl_wait(handles[1], -1), FDL_ABORTED, "could not be ended"); });
  EXPECT_OK(fdl_shutdown(session));
  waiter.join();
  int settled = 1;
  EXPECT_OK(fdl_poll(handles[1], &settled));
  EXPECT_EQ(settled, 0);
  EXPECT_FAILS(fdl_wait(handles[1], -1), FDL_ABORTED, "could not be ended");
  gate.open.count_down();
  over.wait();
  EXPECT_NE(fdl_wait(handles[1], -1), FDL_OK);
  for (fdl_handle* handle : handles) EXPECT_OK(fdl_release(handle));
  EXPECT_OK(fdl_destroy(session));
}

TEST(Kept, WhoWaitsForWhatCannotBeEndedIsToldSo) {
  std::latch ready(1);
  run_job(
      2,
      [&](fdl_session* session, int rank) {
        if (rank == 0)
          return leave_one_behind(session, ready);
        std::array<double, 2> data{1, 1};
        fdl_handle* handle = nullptr;
        ready.wait();
        EXPECT_OK(fdl_allreduce(session, "held", &data[0], &data[0], 1, FDL_FLOAT64, FDL_SUM));
        EXPECT_OK(fdl_allreduce_async(
            session, "behind", &data[0], &data[0], 1, FDL_FLOAT64, FDL_SUM, &handle));
        EXPECT_OK(fdl_send(session, "word", &data[1], 1, FDL_FLOAT64, 0));
        EXPECT_NE(fdl_wait(handle, -1), FDL_OK);
        EXPECT_OK(fdl_release(handle));
        EXPECT_OK(fdl_destroy(session));
      },
      {{"shutdown_timeout", "0.1"}});
}

}  // namespace
}  // namespace farandole::testing

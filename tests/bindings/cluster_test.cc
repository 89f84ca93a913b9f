// Whole jobs through the C interface: every rank is a thread with a session of its own, told its
// place by settings alone.

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <functional>
#include <latch>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/bindings/c_job.h"

namespace farandole::testing {
namespace {

class ClusterTest : public ::testing::TestWithParam<std::pair<int, const char*>> {
 protected:
  int size() const { return GetParam().first; }
  Settings settings() const { return {{"communicator", GetParam().second}}; }
};

TEST_P(ClusterTest, EveryKind) {
  run_job(
      size(),
      [this](fdl_session* session, int rank) {
        const int n = fdl_size(session);
        const std::vector<double> in(static_cast<size_t>(n), rank + 1.0);
        std::vector<double> out(in.size());
        EXPECT_OK(fdl_allreduce(session, "r", in.data(), out.data(), n, FDL_FLOAT64, FDL_SUM));
        EXPECT_EQ(out, std::vector<double>(in.size(), n * (n + 1) / 2.0));
        double part = 0;
        EXPECT_OK(fdl_reducescatter(session, "s", in.data(), &part, n, 1, FDL_FLOAT64, FDL_MAX));
        EXPECT_EQ(part, n);
        double root = rank;
        EXPECT_OK(fdl_broadcast(session, "b", &root, 1, FDL_FLOAT64, n - 1));
        EXPECT_EQ(root, n - 1);
        fdl_handle* handle = nullptr;
        fdl_result result = FDL_RESULT_INIT;
        // Rank r brings r rows.
        ASSERT_OK(fdl_allgather(session, "g", in.data(), rank, 1, FDL_FLOAT64, &handle));
        EXPECT_OK(fdl_get_result(handle, &result));
        EXPECT_EQ(result.shape[0], n * (n - 1) / 2);
        EXPECT_OK(fdl_release(handle));
        ASSERT_OK(fdl_alltoall(session, "a", in.data(), n, 1, FDL_FLOAT64, nullptr, &handle));
        EXPECT_OK(fdl_get_result(handle, &result));
        for (int r = 0; r < size(); ++r)
          EXPECT_EQ(static_cast<const double*>(result.data)[r], r + 1);
        EXPECT_OK(fdl_release(handle));
        EXPECT_OK(fdl_barrier(session));
        EXPECT_OK(fdl_destroy(session));
      },
      settings());
}

TEST_P(ClusterTest, MismatchIsTheSameTextEverywhere) {
  std::vector<std::string> texts(static_cast<size_t>(size()));
  run_job(
      size(),
      [&](fdl_session* session, int rank) {
        const std::vector<float> in(8);
        std::vector<float> out(8);
        EXPECT_EQ(
            fdl_allreduce(
                session, "x", in.data(), out.data(), rank == 0 ? 8 : 7, FDL_FLOAT32, FDL_SUM),
            FDL_MISMATCH);
        texts[static_cast<size_t>(rank)] = fdl_last_error();
        EXPECT_OK(fdl_allreduce(session, "x", in.data(), out.data(), 8, FDL_FLOAT32, FDL_SUM));
        EXPECT_OK(fdl_destroy(session));
      },
      settings());
  EXPECT_THAT(texts, ::testing::Each(texts[0]));
  EXPECT_THAT(texts[0], ::testing::HasSubstr("[8]"));
}

fdl_counters counters_of(const fdl_session* session) {
  fdl_counters counters = FDL_COUNTERS_INIT;
  EXPECT_OK(fdl_get_counters(session, &counters));
  return counters;
}

TEST_P(ClusterTest, CountersAreExactOnEveryRank) {
  run_job(
      size(),
      [](fdl_session* session, int rank) {
        std::vector<float> data(8);
        for (int i = 0; i < 10; ++i)
          EXPECT_OK(fdl_allreduce(session, "x", data.data(), data.data(), 8, FDL_FLOAT32, FDL_SUM));
        EXPECT_EQ(
            fdl_allreduce(
                session, "y", data.data(), data.data(), rank == 0 ? 8 : 7, FDL_FLOAT32, FDL_SUM),
            FDL_MISMATCH);
        fdl_handle* handle = nullptr;
        ASSERT_OK(fdl_allgather(session, "g", data.data(), rank, 1, FDL_FLOAT32, &handle));
        EXPECT_OK(fdl_release(handle));
        EXPECT_OK(fdl_barrier(session));
        const fdl_counters seen = counters_of(session);
        EXPECT_EQ(seen.submitted, 13U);
        EXPECT_EQ(seen.agreed, 12U);
        EXPECT_EQ(seen.rejected, 1U);
        EXPECT_EQ(seen.settled_ok, 12U);
        EXPECT_EQ(seen.settled_failed, 1U);
        EXPECT_EQ(seen.buckets, 12U);
        EXPECT_EQ(seen.bytes, 10U * 32U + 4U * static_cast<unsigned>(rank));
        EXPECT_GT(seen.busy_nanoseconds, 0U);
        EXPECT_OK(fdl_shutdown(session));
        const fdl_counters later = counters_of(session);
        EXPECT_EQ(std::memcmp(&seen, &later, sizeof seen), 0) << "shutdown counts nothing";
        EXPECT_OK(fdl_destroy(session));
      },
      settings());
}

TEST_P(ClusterTest, WhoLeavesMaySayWhy) {
  run_job(
      size(),
      [this](fdl_session* session, int rank) {
        EXPECT_OK(fdl_barrier(session));
        if (rank == size() - 1) {
          EXPECT_OK(fdl_shutdown_because(session, "its input ended early"));
        } else {
          float data = 1;
          EXPECT_EQ(
              fdl_allreduce(session, "x", &data, &data, 1, FDL_FLOAT32, FDL_SUM), FDL_PEER_LOST);
          // The others leave only once they have seen this, so that it comes first to all of them.
          const std::string rank_that_left = fmt::format("allreduce \"x\": rank {} ", size() - 1);
          EXPECT_THAT(fdl_last_error(), ::testing::StartsWith(rank_that_left));
          EXPECT_THAT(
              fdl_last_error(), ::testing::EndsWith(" left the job: its input ended early"));
          EXPECT_EQ(fdl_last_error_rank(), size() - 1);
        }
        EXPECT_OK(fdl_destroy(session));
      },
      settings());
}

// What a callback is told of a session that fdl_destroy has begun with.
struct Told {
  fdl_session* session = nullptr;
  fdl_code code = FDL_OK;
  fdl_code health = FDL_OK;
  fdl_code counters = FDL_INTERNAL;
  fdl_code submit = FDL_OK;
  fdl_code shutdown = FDL_OK;
  fdl_code destroy = FDL_OK;
  uint64_t submitted = 0;
};

void ask(fdl_code code, void* user) {
  auto* told = static_cast<Told*>(user);
  told->code = code;
  told->health = fdl_health(told->session);
  fdl_counters counters = FDL_COUNTERS_INIT;
  told->counters = fdl_get_counters(told->session, &counters);
  told->submitted = counters.submitted;
  float data = 1;
  fdl_handle* handle = nullptr;
  told->submit =
      fdl_allreduce_async(told->session, "later", &data, &data, 1, FDL_FLOAT32, FDL_SUM, &handle);
  // Neither may be called here, and both would wait for this callback.
  told->shutdown = fdl_shutdown(told->session);
  told->destroy = fdl_destroy(told->session);
}

TEST_P(ClusterTest, CallbacksMayAskWhileTheirSessionIsDestroyed) {
  std::latch ended(1);
  run_job(
      size(),
      [&](fdl_session* session, int rank) {
        EXPECT_OK(fdl_barrier(session));
        float data = 1;
        if (rank != size() - 1) {
          EXPECT_EQ(
              fdl_allreduce(session, "x", &data, &data, 1, FDL_FLOAT32, FDL_SUM), FDL_PEER_LOST);
          ended.wait();  // that others leave ends an operation, too
          EXPECT_OK(fdl_destroy(session));
          return;
        }
        Told told{.session = session};
        fdl_handle* handle = nullptr;
        EXPECT_OK(
            fdl_allreduce_async(session, "y", &data, &data, 1, FDL_FLOAT32, FDL_SUM, &handle));
        EXPECT_OK(fdl_on_done(handle, &ask, &told));
        EXPECT_OK(fdl_release(handle));
        EXPECT_OK(fdl_destroy(session));
        ended.count_down();
        EXPECT_EQ(told.code, FDL_ABORTED);
        EXPECT_EQ(told.health, FDL_ABORTED);
        EXPECT_EQ(told.counters, FDL_OK);
        EXPECT_EQ(told.submitted, 2U);
        EXPECT_EQ(told.submit, FDL_ABORTED);
        EXPECT_EQ(told.shutdown, FDL_INVALID_ARGUMENT);
        EXPECT_EQ(told.destroy, FDL_INVALID_ARGUMENT);
        EXPECT_EQ(fdl_health(session), FDL_INVALID_ARGUMENT);
      },
      settings());
}

// From another thread, while operations run.
TEST_P(ClusterTest, CountersOfAJobAtWork) {
  run_job(
      size(),
      [](fdl_session* session, int) {
        static constexpr uint64_t kOperations = 200;
        std::thread reader([session] {
          for (int i = 0; i < 2000; ++i) {
            const fdl_counters seen = counters_of(session);
            EXPECT_LE(seen.settled_ok, seen.agreed);
            EXPECT_LE(seen.settled_ok + seen.settled_failed, seen.submitted);
            EXPECT_LE(seen.agreed, kOperations);
          }
        });
        float data = 1;
        for (uint64_t i = 1; i <= kOperations; ++i) {
          EXPECT_OK(fdl_allreduce(session, "x", &data, &data, 1, FDL_FLOAT32, FDL_MAX));
          EXPECT_EQ(counters_of(session).settled_ok, i);
        }
        reader.join();
        EXPECT_OK(fdl_destroy(session));
      },
      settings());
}

TEST_P(ClusterTest, RankThatLeavesIsNamedToThoseWhoWait) {
  run_job(
      size(),
      [this](fdl_session* session, int rank) {
        EXPECT_OK(fdl_barrier(session));
        if (rank == size() - 1) {
          EXPECT_OK(fdl_destroy(session));
          return;
        }
        float data = 0;
        EXPECT_EQ(
            fdl_allreduce(session, "alone", &data, &data, 1, FDL_FLOAT32, FDL_SUM), FDL_PEER_LOST);
        EXPECT_EQ(fdl_last_error_rank(), size() - 1);
        EXPECT_THAT(fdl_last_error(), ::testing::HasSubstr("alone"));
        const fdl_counters seen = counters_of(session);
        EXPECT_EQ(seen.settled_ok, 1U);
        EXPECT_EQ(seen.submitted, seen.settled_ok + seen.settled_failed);
        EXPECT_EQ(seen.rejected, 0U) << "nobody disagreed";
        EXPECT_OK(fdl_destroy(session));
      },
      settings());
}

INSTANTIATE_TEST_SUITE_P(
    Jobs,
    ClusterTest,
    ::testing::Values(
        std::pair(2, "shm"), std::pair(3, "shm"), std::pair(2, "gloo"), std::pair(3, "gloo")),
    [](const auto& info) { return info.param.second + std::to_string(info.param.first); });

class KilledPeerTest : public ::testing::TestWithParam<const char*> {};

fdl_code sum_until_it_fails(fdl_session* session, const std::function<void()>& once_moving) {
  std::vector<float> data(1 << 20);
  fdl_code code = FDL_OK;
  for (int i = 0; code == FDL_OK; ++i) {
    if (i == 3)
      once_moving();
    code =
        fdl_allreduce(session, "gradient", data.data(), data.data(), 1 << 20, FDL_FLOAT32, FDL_SUM);
  }
  return code;
}

// As a C program has it: SIGPIPE would end the process.
TEST_P(KilledPeerTest, IsAnErrorAndRaisesNoSignal) {
  const TestJob job;
  const Settings settings{{"communicator", GetParam()}};
  const pid_t peer = fork();
  if (peer == 0) {
    fdl_session* session = start(job, 1, 2, settings);
    _exit(session && sum_until_it_fails(session, [] {}) ? 1 : 2);
  }
  ASSERT_NE(std::signal(SIGPIPE, SIG_DFL), SIG_ERR);
  fdl_session* session = start(job, 0, 2, settings);
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(sum_until_it_fails(session, [&] { kill(peer, SIGKILL); }), FDL_PEER_LOST);
  EXPECT_EQ(fdl_last_error_rank(), 1);
  EXPECT_THAT(fdl_last_error(), ::testing::HasSubstr("allreduce \"gradient\": rank 1 (host "));
  EXPECT_OK(fdl_destroy(session));
  EXPECT_EQ(std::signal(SIGPIPE, SIG_DFL), SIG_DFL) << "nobody has changed it";
  int status = 0;
  EXPECT_EQ(waitpid(peer, &status, 0), peer);
  EXPECT_TRUE(WIFSIGNALED(status));
}

INSTANTIATE_TEST_SUITE_P(Jobs, KilledPeerTest, ::testing::Values("shm", "gloo"));

TEST(CTransferTest, WaitEndsAtItsDeadlineWhileTheOperationGoesOn) {
  run_job(2, [](fdl_session* session, int rank) {
    float data = 1;
    fdl_handle* handle = nullptr;
    if (rank == 0) {
      ASSERT_OK(
          fdl_allreduce_async(session, "late", &data, &data, 1, FDL_FLOAT32, FDL_SUM, &handle));
      fdl_result result = FDL_RESULT_INIT;
      EXPECT_EQ(fdl_wait(handle, 0.05), FDL_PENDING);
      EXPECT_EQ(fdl_get_result(handle, &result), FDL_PENDING);
    }
    EXPECT_OK(fdl_barrier(session));
    if (rank == 1) {
      ASSERT_OK(
          fdl_allreduce_async(session, "late", &data, &data, 1, FDL_FLOAT32, FDL_SUM, &handle));
    }
    EXPECT_OK(fdl_wait(handle, 30));
    EXPECT_EQ(data, 2);
    EXPECT_OK(fdl_release(handle));
    EXPECT_OK(fdl_destroy(session));
  });
}

}  // namespace
}  // namespace farandole::testing

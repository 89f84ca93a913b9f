// Operations of one rank through the C interface.

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cmath>
#include <thread>
#include <vector>

#include "tests/bindings/c_api_fixture.h"

namespace farandole::testing {
namespace {

using ::testing::ElementsAre;

using OperationTest = CApiTest;

fdl_request request_for(const std::vector<int64_t>& shape, const void* in, void* out) {
  fdl_request request = FDL_REQUEST_INIT;
  request.shape = shape.data();
  request.ndim = shape.size();
  request.in = in;
  request.out = out;
  return request;
}

TEST_F(OperationTest, AllreduceAppliesBothScales) {
  const std::vector<int64_t> shape{3};
  const std::array<float, 3> in{1, 2, 3};
  std::array<float, 3> out{};
  fdl_request request = request_for(shape, in.data(), out.data());
  request.prescale = 2;
  request.postscale = 5;
  fdl_handle* handle = nullptr;
  ASSERT_OK(fdl_submit(session_, &request, 1, &handle));
  EXPECT_OK(fdl_wait(handle, 30));
  EXPECT_OK(fdl_release(handle));
  EXPECT_THAT(out, ElementsAre(10, 20, 30));
}

TEST_F(OperationTest, ResultIsAllocatedWhereOutIsNull) {
  const std::vector<int64_t> shape{2, 3};
  const std::array<int32_t, 6> in{1, 2, 3, 4, 5, 6};
  fdl_request request = request_for(shape, in.data(), nullptr);
  request.dtype = FDL_INT32;
  request.kind = FDL_ALLGATHER;
  fdl_handle* handle = nullptr;
  ASSERT_OK(fdl_submit(session_, &request, 1, &handle));
  ASSERT_OK(fdl_wait(handle, 30));
  fdl_result result = FDL_RESULT_INIT;
  ASSERT_OK(fdl_get_result(handle, &result));
  EXPECT_EQ(result.dtype, FDL_INT32);
  EXPECT_EQ(result.bytes, sizeof in);
  EXPECT_THAT(std::vector<int64_t>(result.shape, result.shape + result.ndim), ElementsAre(2, 3));
  const auto* data = static_cast<const int32_t*>(result.data);
  EXPECT_THAT(std::vector<int32_t>(data, data + 6), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_OK(fdl_release(handle));
}

TEST_F(OperationTest, ResultOutlivesTheSession) {
  fdl_session* session = nullptr;
  fdl_options options = FDL_OPTIONS_INIT;
  options.ignore_environment = 1;
  ASSERT_OK(fdl_init(&options, &session));
  const double in = 7;
  fdl_handle* handle = nullptr;
  ASSERT_OK(fdl_allgather(session, "x", &in, 1, 1, FDL_FLOAT64, &handle));
  ASSERT_OK(fdl_destroy(session));
  fdl_result result = FDL_RESULT_INIT;
  ASSERT_OK(fdl_get_result(handle, &result));
  EXPECT_EQ(*static_cast<const double*>(result.data), 7);
  EXPECT_OK(fdl_release(handle));
}

TEST_F(OperationTest, AlltoallTellsReceivedRows) {
  const std::array<uint8_t, 3> in{1, 2, 3};
  const int64_t splits = 3;
  fdl_handle* handle = nullptr;
  ASSERT_OK(fdl_alltoall(session_, "x", in.data(), 3, 1, FDL_UINT8, &splits, &handle));
  fdl_result result = FDL_RESULT_INIT;
  ASSERT_OK(fdl_get_result(handle, &result));
  ASSERT_EQ(result.split_count, 1U);
  EXPECT_EQ(result.splits[0], 3);
  EXPECT_OK(fdl_release(handle));
}

TEST_F(OperationTest, ShortFormsOfEveryKind) {
  std::array<double, 2> data{1, 2};
  std::array<double, 2> out{};
  EXPECT_OK(fdl_allreduce(session_, nullptr, data.data(), out.data(), 2, FDL_FLOAT64, FDL_AVERAGE));
  EXPECT_EQ(out, data);
  EXPECT_OK(fdl_reducescatter(session_, "", data.data(), out.data(), 2, 1, FDL_FLOAT64, FDL_MAX));
  EXPECT_EQ(out, data);
  EXPECT_OK(fdl_broadcast(session_, "b", data.data(), 2, FDL_FLOAT64, 0));
  EXPECT_OK(fdl_barrier(session_));
  std::array<fdl_handle*, 5> handles{};
  EXPECT_OK(fdl_allreduce_async(
      session_, "1", data.data(), out.data(), 2, FDL_FLOAT64, FDL_SUM, &handles[0]));
  EXPECT_OK(fdl_broadcast_async(session_, "2", data.data(), 2, FDL_FLOAT64, 0, &handles[1]));
  EXPECT_OK(
      fdl_alltoall_async(session_, "3", data.data(), 2, 1, FDL_FLOAT64, nullptr, &handles[2]));
  EXPECT_OK(fdl_reducescatter_async(
      session_, "4", data.data(), nullptr, 2, 1, FDL_FLOAT64, FDL_SUM, &handles[3]));
  EXPECT_OK(fdl_barrier_async(session_, &handles[4]));
  for (fdl_handle* handle : handles) {
    EXPECT_OK(fdl_wait(handle, 30));
    EXPECT_OK(fdl_release(handle));
  }
}

TEST_F(OperationTest, ZeroDimensionalAndEmptyTensors) {
  const double in = 3;
  double out = 0;
  fdl_request scalar = FDL_REQUEST_INIT;
  scalar.dtype = FDL_FLOAT64;
  scalar.in = &in;
  scalar.out = &out;
  const std::vector<int64_t> none{0, 4};
  const std::array<fdl_request, 2> requests{scalar, request_for(none, nullptr, nullptr)};
  std::array<fdl_handle*, 2> handles{};
  ASSERT_OK(fdl_submit(session_, requests.data(), 2, handles.data()));
  for (fdl_handle* handle : handles) EXPECT_OK(fdl_wait(handle, 30));
  EXPECT_EQ(out, 3);
  fdl_result result = FDL_RESULT_INIT;
  EXPECT_OK(fdl_get_result(handles[1], &result));
  EXPECT_EQ(result.bytes, 0U);
  for (fdl_handle* handle : handles) EXPECT_OK(fdl_release(handle));
}

struct Calls {
  std::atomic<int> count{0};
  std::atomic<fdl_code> code{FDL_PENDING};
};

void record(fdl_code code, void* user) {
  auto* calls = static_cast<Calls*>(user);
  calls->code = code;
  ++calls->count;
}

TEST_F(OperationTest, CallbackRunsOnceAlsoAfterRelease) {
  Calls calls;
  double data = 1;
  fdl_handle* handle = nullptr;
  ASSERT_OK(fdl_allreduce_async(session_, "x", &data, &data, 1, FDL_FLOAT64, FDL_SUM, &handle));
  ASSERT_OK(fdl_on_done(handle, &record, &calls));
  EXPECT_FAILS(
      fdl_on_done(handle, &record, &calls), FDL_INVALID_ARGUMENT, "already has a callback");
  ASSERT_OK(fdl_release(handle));
  ASSERT_OK(fdl_shutdown(session_));  // settles everything
  EXPECT_EQ(calls.count, 1);
}

TEST_F(OperationTest, SeveralThreadsSubmitAndWait) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 100;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < kRounds; ++i) {
        const std::string name = std::to_string(t);
        const int64_t in = t * kRounds + i;
        int64_t out = -1;
        EXPECT_OK(fdl_allreduce(session_, name.c_str(), &in, &out, 1, FDL_INT64, FDL_SUM));
        EXPECT_EQ(out, in);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(OperationTest, AfterShutdownEverythingIsRefused) {
  ASSERT_OK(fdl_shutdown(session_));
  ASSERT_OK(fdl_shutdown(session_));
  double data = 1;
  EXPECT_FAILS(
      fdl_allreduce(session_, "x", &data, &data, 1, FDL_FLOAT64, FDL_SUM),
      FDL_ABORTED,
      "shut down");
  EXPECT_EQ(fdl_rank(session_), 0);
}

TEST_F(OperationTest, ForkedChildGetsAClearErrorAndHarmsNobody) {
  double data = 1;
  fdl_handle* handle = nullptr;
  ASSERT_OK(fdl_allgather(session_, "before", &data, 1, 1, FDL_FLOAT64, &handle));
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const bool refused =
        fdl_allreduce(session_, "x", &data, &data, 1, FDL_FLOAT64, FDL_SUM) == FDL_ABORTED &&
        std::string(fdl_last_error()).find("forked") != std::string::npos &&
        fdl_wait(handle, 1) == FDL_ABORTED && fdl_shutdown(session_) == FDL_ABORTED &&
        fdl_rank(session_) == -1 && fdl_release(handle) == FDL_OK &&
        fdl_destroy(session_) == FDL_OK;
    _exit(refused ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_OK(fdl_allreduce(session_, "x", &data, &data, 1, FDL_FLOAT64, FDL_SUM));
  EXPECT_OK(fdl_release(handle));
}

}  // namespace
}  // namespace farandole::testing

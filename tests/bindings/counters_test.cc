// fdl_get_counters: what it counts, for whom, and until when.

#include <array>
#include <cstddef>

#include "tests/bindings/c_api_fixture.h"

namespace farandole::testing {
namespace {

class CountersTest : public CApiTest {
 protected:
  fdl_code sum(const char* name, int64_t count) {
    return fdl_allreduce(session_, name, data_.data(), data_.data(), count, FDL_FLOAT64, FDL_SUM);
  }
  fdl_counters read() {
    fdl_counters counters = FDL_COUNTERS_INIT;
    EXPECT_OK(fdl_get_counters(session_, &counters));
    return counters;
  }

  std::array<double, 4> data_{};
};

TEST_F(CountersTest, BeginWithZero) {
  const fdl_counters counters = read();
  EXPECT_EQ(counters.struct_size, sizeof counters);
  for (const uint64_t value :
       {counters.submitted,
        counters.agreed,
        counters.rejected,
        counters.settled_ok,
        counters.settled_failed,
        counters.buckets,
        counters.bytes,
        counters.busy_nanoseconds})
    EXPECT_EQ(value, 0U);
}

TEST_F(CountersTest, CountWhatWasTakenAndNotWhatWasRefused) {
  EXPECT_OK(sum("x", 4));
  EXPECT_OK(sum("x", 1));
  EXPECT_FAILS(sum("x", -1), FDL_INVALID_ARGUMENT, "negative");
  EXPECT_OK(fdl_barrier(session_));
  const fdl_counters counters = read();
  EXPECT_EQ(counters.submitted, 3U);
  EXPECT_EQ(counters.agreed, 3U);
  EXPECT_EQ(counters.rejected, 0U);
  EXPECT_EQ(counters.settled_ok, 3U);
  EXPECT_EQ(counters.settled_failed, 0U);
  EXPECT_EQ(counters.buckets, 3U);
  EXPECT_EQ(counters.bytes, 5 * sizeof(double)) << "a barrier moves nothing";
  EXPECT_GT(counters.busy_nanoseconds, 0U);
}

TEST_F(CountersTest, AreOfOneSession) {
  EXPECT_OK(sum("x", 4));
  fdl_options options = FDL_OPTIONS_INIT;
  options.ignore_environment = 1;
  fdl_session* other = nullptr;
  ASSERT_OK(fdl_init(&options, &other));
  fdl_counters counters = FDL_COUNTERS_INIT;
  EXPECT_OK(fdl_get_counters(other, &counters));
  EXPECT_EQ(counters.submitted, 0U);
  EXPECT_OK(fdl_destroy(other));
  EXPECT_EQ(read().submitted, 1U);
}

TEST_F(CountersTest, StayReadableAfterShutdown) {
  EXPECT_OK(sum("x", 4));
  EXPECT_OK(fdl_shutdown(session_));
  EXPECT_FAILS(sum("y", 4), FDL_ABORTED, "shut down");
  EXPECT_EQ(read().submitted, 1U);
  EXPECT_EQ(read().settled_ok, 1U);
}

TEST_F(CountersTest, FillAsMuchAsTheCallersStructHas) {
  EXPECT_OK(sum("x", 4));
  // An older caller's, which ends before `rejected`.
  fdl_counters older = FDL_COUNTERS_INIT;
  older.struct_size = offsetof(fdl_counters, rejected);
  older.rejected = 77;
  EXPECT_OK(fdl_get_counters(session_, &older));
  EXPECT_EQ(older.struct_size, offsetof(fdl_counters, rejected));
  EXPECT_EQ(older.agreed, 1U);
  EXPECT_EQ(older.rejected, 77U) << "behind the older struct's end";
  struct {
    fdl_counters known;
    uint64_t unknown;
  } newer{FDL_COUNTERS_INIT, 77};
  newer.known.struct_size = sizeof newer;
  EXPECT_OK(fdl_get_counters(session_, &newer.known));
  EXPECT_EQ(newer.known.settled_ok, 1U);
  EXPECT_EQ(newer.unknown, 0U);
}

TEST_F(CountersTest, RefuseWhatIsNoPlaceForThem) {
  fdl_counters counters = FDL_COUNTERS_INIT;
  EXPECT_FAILS(fdl_get_counters(nullptr, &counters), FDL_INVALID_ARGUMENT, "the session is NULL");
  EXPECT_FAILS(fdl_get_counters(session_, nullptr), FDL_INVALID_ARGUMENT, "fdl_counters is NULL");
  counters.struct_size = 0;
  EXPECT_FAILS(
      fdl_get_counters(session_, &counters),
      FDL_INVALID_ARGUMENT,
      "struct_size of fdl_counters is 0; start from its FDL_..._INIT or sizeof");
}

}  // namespace
}  // namespace farandole::testing

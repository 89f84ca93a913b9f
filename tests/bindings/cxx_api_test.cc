// farandole.hpp: owners, exceptions and element types over the C interface. C++17.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <complex>
#include <vector>

#include <farandole/farandole.hpp>

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CxxApiTest : public ::testing::Test {
 protected:
  fdl::Session session_{{}, true};
};

TEST_F(CxxApiTest, EveryKind) {
  std::vector<float> data{1, 2, 3, 4};
  std::vector<float> out(4);
  session_.allreduce<float>(data, out, FDL_MAX, "x");
  EXPECT_EQ(out, data);
  session_.broadcast<float>(data);
  EXPECT_EQ(session_.allgather<float>(data, 2), data);
  EXPECT_EQ(session_.alltoall<float>(data, {4}), data);
  EXPECT_EQ(session_.reducescatter<float>(data), data);
  session_.reduce<float>(data, out, 0, FDL_MIN);
  EXPECT_EQ(out, data);
  EXPECT_EQ(session_.gather<float>(data, 0, 2), data);
  EXPECT_EQ(session_.scatter<float>(data, 0, {2}, 2), data);
  session_.barrier();
  EXPECT_EQ(session_.rank(), 0);
  EXPECT_EQ(session_.size(), 1);
  session_.check_health();
}

TEST_F(CxxApiTest, CountersOutliveShutdown) {
  std::vector<float> data{1, 2, 3, 4};
  session_.allreduce<float>(data, data, FDL_SUM, "x");
  EXPECT_EQ(session_.counters().settled_ok, 1U);
  EXPECT_EQ(session_.counters().bytes, sizeof(float) * data.size());
  session_.shutdown();
  EXPECT_EQ(session_.counters().settled_ok, 1U);
}

TEST(CxxApi, SettingsAreGivenInBraces) {
  fdl::Session one({{"fusion_bytes", "1024"}});
  fdl::Session two{{{"fusion_bytes", "1024"}, {"max_dims", "8"}}, true};
  fdl::Session none({}, true);
  for (fdl::Session* session : {&one, &two, &none}) EXPECT_EQ(session->size(), 1);
  EXPECT_THROW(fdl::Session({{"max_dims", "many"}}), fdl::InvalidArgument);
  EXPECT_THROW(fdl::Session({{"no_such_setting", "1"}}), fdl::InvalidArgument);
}

TEST_F(CxxApiTest, HandlesShowTheirResult) {
  const std::vector<std::complex<double>> data{{1, 2}, {3, 4}};
  fdl::Handle handle = session_.allgather_async<std::complex<double>>(data);
  EXPECT_TRUE(handle.wait_for(30));
  EXPECT_TRUE(handle.settled());
  EXPECT_THAT(handle.shape(), ElementsAre(2, 1));
  EXPECT_EQ(handle.elements<std::complex<double>>()[1], data[1]);
  try {
    handle.elements<float>();
    FAIL() << "complex128 was shown as float32";
  } catch (const fdl::InvalidArgument& error) {
    EXPECT_STREQ(error.what(), "elements<T>(): the result has dtype complex128, T is float32");
  }
  fdl::Handle moved = std::move(handle);
  EXPECT_EQ(moved.elements<std::complex<double>>().size(), 2U);
  fdl::Handle swapped = session_.alltoall_async<std::complex<double>>(data);
  EXPECT_THAT(swapped.splits(), ElementsAre(2));
}

TEST(CxxApi, EveryDtypeHasItsName) {
  for (int dtype = FDL_UINT8; dtype <= FDL_COMPLEX128; ++dtype) {
    const std::string name = fdl::dtype_name(static_cast<fdl_dtype>(dtype));
    const size_t digits = name.find_first_of("0123456789");
    const size_t bits = digits == std::string::npos ? 8 : std::stoul(name.substr(digits));
    EXPECT_EQ(bits, 8 * fdl_dtype_size(static_cast<fdl_dtype>(dtype))) << name;
  }
  EXPECT_EQ(fdl::dtype_name(static_cast<fdl_dtype>(77)), "dtype 77");
}

TEST_F(CxxApiTest, ErrorsAreExceptionsByCode) {
  std::vector<float> data{1, 2, 3};
  std::vector<float> small(1);
  EXPECT_THROW(session_.allreduce<float>(data, small), fdl::InvalidArgument);
  EXPECT_THROW(session_.allgather<float>(data, 2), fdl::InvalidArgument);
  try {
    session_.broadcast<float>(data, 5, "x");
    FAIL() << "root 5 of one rank was accepted";
  } catch (const fdl::Error& error) {
    EXPECT_EQ(error.code(), FDL_INVALID_ARGUMENT);
    EXPECT_EQ(error.rank(), -1);
    EXPECT_THAT(error.what(), HasSubstr("root rank 5"));
  }
  session_.shutdown("its input ended early");
  EXPECT_THROW(session_.barrier(), fdl::Aborted);
  EXPECT_THROW(fdl::Session({{"fusion_bytes", "abc"}}, true), fdl::InvalidArgument);
}

}  // namespace

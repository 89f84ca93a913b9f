// What the C interface refuses, and that it says why.

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "tests/bindings/c_api_fixture.h"

namespace farandole::testing {
namespace {

using ArgumentTest = CApiTest;

TEST(InitTest, RefusesBadOptions) {
  fdl_session* session = nullptr;
  EXPECT_FAILS(fdl_init(nullptr, nullptr), FDL_INVALID_ARGUMENT, "NULL");
  const std::array<fdl_setting, 1> unknown{{{"fusion_byts", "1"}}};
  fdl_options options = FDL_OPTIONS_INIT;
  options.ignore_environment = 1;
  options.setting_count = 1;
  EXPECT_FAILS(fdl_init(&options, &session), FDL_INVALID_ARGUMENT, "settings is NULL");
  options.settings = unknown.data();
  EXPECT_FAILS(fdl_init(&options, &session), FDL_INVALID_ARGUMENT, "fusion_byts");
  const std::array<fdl_setting, 1> bad{{{"fusion_bytes", "abc"}}};
  options.settings = bad.data();
  EXPECT_FAILS(fdl_init(&options, &session), FDL_INVALID_ARGUMENT, "fusion_bytes=\"abc\"");
  const std::array<fdl_setting, 1> null{{{"fusion_bytes", nullptr}}};
  options.settings = null.data();
  EXPECT_FAILS(fdl_init(&options, &session), FDL_INVALID_ARGUMENT, "setting 0 is NULL");
  const std::array<fdl_setting, 1> alone{{{"rank", "1"}}};
  options.settings = alone.data();
  EXPECT_FAILS(fdl_init(&options, &session), FDL_INVALID_ARGUMENT, "is not below");
  EXPECT_EQ(session, nullptr);
}

TEST(InitTest, ReadsSizedOptions) {
  struct Newer {
    fdl_options known;
    uint64_t unknown;
  };
  Newer newer{FDL_OPTIONS_INIT, 1};
  newer.known.struct_size = sizeof newer;
  newer.known.ignore_environment = 1;
  fdl_session* session = nullptr;
  EXPECT_FAILS(fdl_init(&newer.known, &session), FDL_INVALID_ARGUMENT, "newer release");
  newer.unknown = 0;
  EXPECT_OK(fdl_init(&newer.known, &session));
  EXPECT_OK(fdl_destroy(session));
  newer.known.struct_size = 0;
  EXPECT_FAILS(fdl_init(&newer.known, &session), FDL_INVALID_ARGUMENT, "struct_size");
  newer.known.struct_size = std::numeric_limits<size_t>::max();
  EXPECT_FAILS(fdl_init(&newer.known, &session), FDL_INVALID_ARGUMENT, "struct_size");
}

TEST_F(ArgumentTest, NullPointers) {
  fdl_handle* handle = nullptr;
  const fdl_request request = FDL_REQUEST_INIT;
  int settled = 0;
  EXPECT_FAILS(fdl_submit(nullptr, &request, 1, &handle), FDL_INVALID_ARGUMENT, "session is NULL");
  EXPECT_FAILS(fdl_submit(session_, nullptr, 1, &handle), FDL_INVALID_ARGUMENT, "requests is NULL");
  EXPECT_FAILS(fdl_submit(session_, &request, 1, nullptr), FDL_INVALID_ARGUMENT, "handles is NULL");
  EXPECT_FAILS(fdl_wait(nullptr, 1), FDL_INVALID_ARGUMENT, "handle is NULL");
  EXPECT_FAILS(fdl_poll(nullptr, &settled), FDL_INVALID_ARGUMENT, "handle is NULL");
  EXPECT_FAILS(fdl_get_result(nullptr, nullptr), FDL_INVALID_ARGUMENT, "handle is NULL");
  EXPECT_FAILS(fdl_on_done(nullptr, nullptr, nullptr), FDL_INVALID_ARGUMENT, "handle is NULL");
  EXPECT_FAILS(fdl_shutdown(nullptr), FDL_INVALID_ARGUMENT, "session is NULL");
  EXPECT_FAILS(fdl_shutdown_because(nullptr, "x"), FDL_INVALID_ARGUMENT, "session is NULL");
  EXPECT_FAILS(fdl_shutdown_because(session_, nullptr), FDL_INVALID_ARGUMENT, "there is no cause");
  EXPECT_FAILS(fdl_shutdown_because(session_, ""), FDL_INVALID_ARGUMENT, "there is no cause");
  EXPECT_FAILS(fdl_health(nullptr), FDL_INVALID_ARGUMENT, "session is NULL");
  EXPECT_FAILS(fdl_get_topology(session_, nullptr), FDL_INVALID_ARGUMENT, "fdl_topology is NULL");
  EXPECT_FAILS(
      fdl_allgather(session_, "x", nullptr, 0, 1, FDL_UINT8, nullptr),
      FDL_INVALID_ARGUMENT,
      "handle");
  EXPECT_FAILS(
      fdl_allreduce(session_, "x", nullptr, &settled, 3, FDL_UINT8, FDL_SUM),
      FDL_INVALID_ARGUMENT,
      "null");
  EXPECT_FAILS(
      fdl_allreduce(session_, "x", &settled, nullptr, 1, FDL_INT32, FDL_SUM),
      FDL_INVALID_ARGUMENT,
      "fdl_allreduce: out is NULL");
  EXPECT_FAILS(
      fdl_reducescatter(session_, nullptr, &settled, nullptr, 1, 1, FDL_INT32, FDL_SUM),
      FDL_INVALID_ARGUMENT,
      "fdl_reducescatter: out is NULL");
  std::array<char, 64> name{};
  EXPECT_OK(fdl_next_name(session_, FDL_REDUCESCATTER, 0, name.data(), name.size()));
  EXPECT_STREQ(name.data(), "reducescatter.noname.2");
  EXPECT_FAILS(
      fdl_alltoall(session_, nullptr, &settled, 1, 1, FDL_INT32, nullptr, nullptr),
      FDL_INVALID_ARGUMENT,
      "fdl_alltoall: there is no place for the handle");
  EXPECT_OK(fdl_next_name(session_, FDL_ALLTOALL, 0, name.data(), name.size()));
  EXPECT_STREQ(name.data(), "alltoall.noname.2");
  EXPECT_FAILS(
      fdl_allreduce(nullptr, nullptr, &settled, nullptr, 1, FDL_INT32, FDL_SUM),
      FDL_INVALID_ARGUMENT,
      "session is NULL");
  EXPECT_OK(fdl_allreduce(session_, "x", nullptr, nullptr, 0, FDL_INT32, FDL_SUM));
  EXPECT_EQ(fdl_rank(nullptr), -1);
  EXPECT_OK(fdl_release(nullptr));
  EXPECT_OK(fdl_destroy(nullptr));
}

TEST_F(ArgumentTest, EnumerationsOutOfRange) {
  fdl_handle* handle = nullptr;
  fdl_request request = FDL_REQUEST_INIT;
  const auto refused = [&](const char* part) {
    EXPECT_FAILS(fdl_submit(session_, &request, 1, &handle), FDL_INVALID_ARGUMENT, part);
    EXPECT_EQ(handle, nullptr);
    request = FDL_REQUEST_INIT;
  };
  request.kind = static_cast<fdl_kind>(FDL_MESSAGE + 1);
  refused("request 0: the kind 10 does not exist; 0 (FDL_ALLREDUCE) to 9 (FDL_MESSAGE) do");
  request.dtype = static_cast<fdl_dtype>(-1);
  refused(
      "allreduce (request 0): the dtype -1 does not exist; 0 (FDL_UINT8) to 12 (FDL_COMPLEX128)");
  request.name = "g";
  request.dtype = static_cast<fdl_dtype>(99);
  refused("allreduce \"g\": the dtype 99 does not exist");
  request.reduce_op = static_cast<fdl_reduce_op>(FDL_ADASUM + 1);
  refused("reduce operation 6 does not exist; 0 (FDL_SUM) to 5 (FDL_ADASUM) do");
  request.device_type = static_cast<fdl_device_type>(9);
  refused("device type 9 does not exist");
  request.ndim = 2;
  refused("shape is NULL");
  const int64_t extent = 1;
  request.shape = &extent;
  request.ndim = std::numeric_limits<size_t>::max();
  refused("too many; at most 64 are taken");
}

TEST_F(ArgumentTest, ValuesThatHaveNoMeaning) {
  std::array<uint8_t, 4> data{};
  EXPECT_FAILS(
      fdl_allreduce(session_, "x", data.data(), data.data(), 4, FDL_BOOL, FDL_AVERAGE),
      FDL_INVALID_ARGUMENT,
      "Average has no meaning for bool");
  EXPECT_FAILS(
      fdl_broadcast(session_, "x", data.data(), 4, FDL_UINT8, 1),
      FDL_INVALID_ARGUMENT,
      "root rank 1");
  EXPECT_FAILS(
      fdl_allreduce(session_, "x", data.data(), data.data(), -1, FDL_UINT8, FDL_SUM),
      FDL_INVALID_ARGUMENT,
      "negative");
  const std::string long_name(513, 'n');
  EXPECT_FAILS(
      fdl_allreduce(session_, long_name.c_str(), data.data(), data.data(), 4, FDL_UINT8, FDL_SUM),
      FDL_INVALID_ARGUMENT,
      "513 bytes");
  fdl_request request = FDL_REQUEST_INIT;
  request.in = data.data();
  request.device_type = FDL_CUDA;
  fdl_handle* handle = nullptr;
  EXPECT_FAILS(fdl_submit(session_, &request, 1, &handle), FDL_UNSUPPORTED, "cuda:0");
}

TEST_F(ArgumentTest, AllRequestsOrNone) {
  float data = 0;
  std::array<fdl_request, 2> requests{{FDL_REQUEST_INIT, FDL_REQUEST_INIT}};
  for (fdl_request& request : requests) {
    request.in = &data;
    request.name = "twice";
  }
  std::array<fdl_handle*, 2> handles{};
  EXPECT_FAILS(
      fdl_submit(session_, requests.data(), 2, handles.data()), FDL_INVALID_ARGUMENT, "twice");
  EXPECT_EQ(handles[0], nullptr);
  requests[1].name = "again";
  requests[1].struct_size = sizeof(fdl_request) - sizeof(uint64_t);
  EXPECT_FAILS(
      fdl_submit(session_, requests.data(), 2, handles.data()),
      FDL_INVALID_ARGUMENT,
      "struct_size of request 1");
}

TEST_F(ArgumentTest, UnnamedRequestsThatAreRefusedCount) {
  std::array<char, 64> name{};
  float data = 0;
  std::array<fdl_request, 3> requests{{FDL_REQUEST_INIT, FDL_REQUEST_INIT, FDL_REQUEST_INIT}};
  for (fdl_request& request : requests) request.in = &data;
  requests[0].dtype = static_cast<fdl_dtype>(77);
  requests[1].name = "named";
  std::array<fdl_handle*, 3> handles{};
  EXPECT_FAILS(
      fdl_submit(session_, requests.data(), 3, handles.data()), FDL_INVALID_ARGUMENT, "dtype 77");
  EXPECT_OK(fdl_next_name(session_, FDL_ALLREDUCE, 0, name.data(), name.size()));
  EXPECT_STREQ(name.data(), "allreduce.noname.3");
  EXPECT_OK(fdl_next_name(session_, FDL_BROADCAST, 0, name.data(), 6));
  EXPECT_STREQ(name.data(), "broad");
  EXPECT_FAILS(fdl_next_name(session_, FDL_BROADCAST, 0, nullptr, 6), FDL_INVALID_ARGUMENT, "room");
  EXPECT_FAILS(
      fdl_next_name(session_, static_cast<fdl_kind>(FDL_MESSAGE + 1), 0, name.data(), 6),
      FDL_INVALID_ARGUMENT,
      "the kind 10");
  EXPECT_FAILS(
      fdl_next_name(session_, FDL_MESSAGE, 0, name.data(), 6),
      FDL_INVALID_ARGUMENT,
      "messages are counted for each way; call fdl_next_message_name");
  EXPECT_OK(fdl_next_message_name(session_, 0, 0, 1, name.data(), name.size()));
  EXPECT_STREQ(name.data(), "message.noname.0") << "there is no rank 1, and nothing counts";
}

TEST_F(ArgumentTest, RequestOfAnOlderCallerHasDefaults) {
  const int64_t shape = 1;
  const float in = 3;
  float out = 0;
  fdl_request request = FDL_REQUEST_INIT;
  request.struct_size = offsetof(fdl_request, reduce_op);
  request.shape = &shape;
  request.ndim = 1;
  request.in = &in;
  request.out = &out;
  request.prescale = 100;  // beyond what the older caller knows
  fdl_handle* handle = nullptr;
  ASSERT_OK(fdl_submit(session_, &request, 1, &handle));
  EXPECT_OK(fdl_wait(handle, 30));
  EXPECT_EQ(out, 3);
  EXPECT_OK(fdl_release(handle));
}

TEST_F(ArgumentTest, WaitAndPoll) {
  double data = 1;
  fdl_handle* handle = nullptr;
  ASSERT_OK(fdl_allreduce_async(session_, "x", &data, &data, 1, FDL_FLOAT64, FDL_SUM, &handle));
  EXPECT_FAILS(fdl_wait(handle, std::nan("")), FDL_INVALID_ARGUMENT, "not a number");
  EXPECT_FAILS(fdl_poll(handle, nullptr), FDL_INVALID_ARGUMENT, "NULL");
  EXPECT_OK(fdl_wait(handle, std::numeric_limits<double>::infinity()));
  int settled = 0;
  EXPECT_OK(fdl_poll(handle, &settled));
  EXPECT_EQ(settled, 1);
  EXPECT_OK(fdl_wait(handle, 0));
  EXPECT_OK(fdl_release(handle));
}

TEST_F(ArgumentTest, TopologyOfOneRank) {
  fdl_topology topology{};
  topology.struct_size = sizeof topology;
  ASSERT_OK(fdl_get_topology(session_, &topology));
  EXPECT_EQ(topology.size, 1);
  EXPECT_EQ(topology.homogeneous, 1);
  std::array<char, 256> host{};
  EXPECT_OK(fdl_host_of(session_, 0, host.data(), host.size()));
  EXPECT_GT(std::strlen(host.data()), 0U);
  EXPECT_OK(fdl_host_of(session_, 0, host.data(), 2));
  EXPECT_EQ(std::strlen(host.data()), 1U);
  EXPECT_FAILS(fdl_host_of(session_, 1, host.data(), 9), FDL_INVALID_ARGUMENT, "rank 1");
  EXPECT_FAILS(fdl_host_of(session_, 0, nullptr, 9), FDL_INVALID_ARGUMENT, "room");
  EXPECT_OK(fdl_health(session_));
}

TEST(LibraryTest, KnowsItself) {
  EXPECT_STRNE(fdl_version(), "");
  EXPECT_THAT(fdl_build_info(), ::testing::HasSubstr(fdl_version()));
  EXPECT_STREQ(fdl_code_name(FDL_PEER_LOST), "PeerLost");
  EXPECT_STREQ(fdl_code_name(FDL_PENDING), "Pending");
  EXPECT_STREQ(fdl_code_name(static_cast<fdl_code>(77)), "Unknown");
  EXPECT_EQ(fdl_dtype_size(FDL_COMPLEX128), 16U);
  EXPECT_EQ(fdl_dtype_size(static_cast<fdl_dtype>(13)), 0U);
}

TEST(LibraryTest, DocumentsItsSettings) {
  ASSERT_GT(fdl_config_count(), 10U);
  bool found = false;
  fdl_config_row row{};
  row.struct_size = sizeof row;
  for (size_t i = 0; i < fdl_config_count(); ++i) {
    ASSERT_OK(fdl_config(i, &row));
    found = found || std::strcmp(row.key, "fusion_bytes") == 0;
  }
  EXPECT_TRUE(found);
  EXPECT_FAILS(fdl_config(fdl_config_count(), &row), FDL_INVALID_ARGUMENT, "no setting");
}

}  // namespace
}  // namespace farandole::testing

// Process sets and joins through the C interface and the C++ one over it.

#include <array>
#include <future>
#include <vector>

#include <farandole/farandole.hpp>

#include "tests/bindings/c_job.h"

namespace farandole::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kSeconds = 60;

// A sum of one number in a process set; unnamed where `name` is null.
fdl_code sum(fdl_session* session, uint32_t set, double& value, const char* name = nullptr) {
  const int64_t one = 1;
  fdl_request request = FDL_REQUEST_INIT;
  request.dtype = FDL_FLOAT64;
  request.name = name;
  request.shape = &one;
  request.ndim = 1;
  request.in = &value;
  request.out = &value;
  request.process_set = set;
  fdl_handle* handle = nullptr;
  fdl_code code = fdl_submit(session, &request, 1, &handle);
  if (code == FDL_OK)
    code = fdl_wait(handle, kSeconds);
  fdl_release(handle);
  return code;
}

std::vector<uint32_t> ids_of(const fdl_session* session) {
  std::vector<uint32_t> ids(10);
  size_t count = 0;
  EXPECT_OK(fdl_process_sets(session, ids.data(), ids.size(), &count));
  ids.resize(count);
  return ids;
}

// Waits, and gives the value of the result.
int64_t value_of(fdl_handle* handle) {
  fdl_result result = FDL_RESULT_INIT;
  EXPECT_OK(fdl_wait(handle, kSeconds));
  EXPECT_OK(fdl_get_result(handle, &result));
  EXPECT_EQ(result.data, nullptr);
  EXPECT_EQ(result.ndim, 0U);
  EXPECT_OK(fdl_release(handle));
  return result.value;
}

TEST(CProcessSets, ComeAndGo) {
  run_job(3, [](fdl_session* session, int rank) {
    const std::array<int, 2> ends{2, 0};  // in any order
    uint32_t id = 0;
    ASSERT_OK(fdl_add_process_set(session, ends.data(), ends.size(), &id));
    EXPECT_EQ(id, 1U);
    EXPECT_THAT(ids_of(session), ElementsAre(0, 1));
    std::array<int, 2> ranks{-1, -1};
    size_t count = 0;
    EXPECT_OK(fdl_process_set_ranks(session, id, ranks.data(), 1, &count));
    EXPECT_EQ(count, 2U) << "how many there are, whatever room there is";
    EXPECT_THAT(ranks, ElementsAre(0, -1));
    double value = rank + 1;
    if (rank == 1) {
      EXPECT_FAILS(
          sum(session, id, value, "x"),
          FDL_INVALID_ARGUMENT,
          "allreduce \"x\": rank 1 is not in process set 1, whose ranks are 0, 2");
    } else {
      EXPECT_OK(sum(session, id, value, "x"));
      EXPECT_EQ(value, 4);
    }
    fdl_handle* handle = nullptr;
    ASSERT_OK(fdl_add_process_set_async(session, &rank, 1, &handle)) << "each another";
    EXPECT_EQ(fdl_wait(handle, kSeconds), FDL_MISMATCH);
    EXPECT_THAT(fdl_last_error(), HasSubstr("ranks disagree on its ranks"));
    EXPECT_OK(fdl_release(handle));
    ASSERT_OK(fdl_remove_process_set_async(session, id, &handle));
    EXPECT_EQ(value_of(handle), -1);
    EXPECT_THAT(ids_of(session), ElementsAre(0));
    EXPECT_FAILS(
        fdl_process_set_ranks(session, id, nullptr, 0, &count),
        FDL_INVALID_ARGUMENT,
        "process set 1 was removed");
    EXPECT_FAILS(
        fdl_remove_process_set(session, id), FDL_INVALID_ARGUMENT, "process set 1 was removed");
    ASSERT_OK(fdl_add_process_set_async(session, ends.data(), ends.size(), &handle));
    EXPECT_EQ(value_of(handle), 2) << "ids are never given again";
    EXPECT_OK(fdl_destroy(session));
  });
}

// Ranks 0 and 2 have done more in their set, and in a way that failed, than rank 1 anywhere.
TEST(CProcessSets, UnnamedOperationsCountInEachSetAlone) {
  run_job(
      3,
      [](fdl_session* session, int rank) {
        double value = 1;
        for (int i = 0; i < 3 && rank != 1; ++i) EXPECT_OK(sum(session, 1, value));
        if (rank == 0) {
          fdl_request request = FDL_REQUEST_INIT;
          request.process_set = 1;
          request.dtype = static_cast<fdl_dtype>(77);
          fdl_handle* handle = nullptr;
          EXPECT_EQ(fdl_submit(session, &request, 1, &handle), FDL_INVALID_ARGUMENT);
        }
        if (rank == 2) {
          std::array<char, 64> name{};
          EXPECT_OK(fdl_next_name(session, FDL_ALLREDUCE, 1, name.data(), name.size()));
          EXPECT_STREQ(name.data(), "allreduce.noname.4");
        }
        value = rank;
        EXPECT_OK(sum(session, 0, value));
        EXPECT_EQ(value, 3);
        value = rank;
        if (rank != 1) {
          EXPECT_OK(sum(session, 1, value));
          EXPECT_EQ(value, 2);
        }
        EXPECT_OK(fdl_barrier(session));
        EXPECT_OK(fdl_destroy(session));
      },
      {{"process_sets", "0,2"}});
}

TEST(CProcessSets, JoinsWaitForAllOfTheSet) {
  std::promise<void> tried;
  const std::shared_future<void> refused = tried.get_future().share();
  run_job(
      3,
      [&](fdl_session* session, int rank) {
        double value = 2;
        if (rank == 1) {
          int last = -1;
          EXPECT_OK(sum(session, 1, value, "alone"));
          EXPECT_EQ(value, 2) << "rank 0 has joined and changes nothing";
          EXPECT_EQ(refused.wait_for(std::chrono::seconds(60)), std::future_status::ready);
          EXPECT_OK(fdl_join(session, 1, &last));
          EXPECT_EQ(last, 1);
        } else if (rank == 0) {
          fdl_handle* handle = nullptr;
          ASSERT_OK(fdl_join_async(session, 1, &handle));
          EXPECT_FAILS(
              sum(session, 1, value, "x"),
              FDL_INVALID_ARGUMENT,
              "allreduce \"x\": this rank has joined process set 1");
          tried.set_value();
          EXPECT_EQ(value_of(handle), 1);
        } else {
          int last = -1;
          EXPECT_FAILS(
              fdl_join(session, 1, &last),
              FDL_INVALID_ARGUMENT,
              "join: rank 2 is not in process set 1, whose ranks are 0, 1");
          EXPECT_EQ(last, -1);
        }
        int last = -1;
        EXPECT_OK(fdl_join(session, 0, &last));
        EXPECT_THAT(last, ::testing::AnyOf(0, 1, 2));
        EXPECT_OK(fdl_destroy(session));
      },
      {{"process_sets", "0-1"}});
}

// Runs `body` on one thread per rank, each with a session of the C++ interface.
void run_cxx(int size, const std::function<void(fdl::Session&, int)>& body, Settings more = {}) {
  const TestJob job;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] {
      fdl::Session session(settings_of(job, rank, size, more), true);
      body(session, rank);
      session.barrier();
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(CxxProcessSets, HaveEveryKindOfCollective) {
  run_cxx(
      3,
      [](fdl::Session& session, int rank) {
        const std::vector<fdl::ProcessSet> sets = session.process_sets();
        ASSERT_EQ(sets.size(), 2U);
        EXPECT_THAT(sets[0].ranks(), ElementsAre(0, 1, 2));
        fdl::ProcessSet ends = sets[1];
        EXPECT_EQ(ends.id(), 1U);
        EXPECT_THAT(ends.ranks(), ElementsAre(0, 2));
        EXPECT_EQ(ends.size(), 2);
        EXPECT_EQ(ends.rank(), rank == 1 ? -1 : rank / 2);
        EXPECT_EQ(ends.included(), rank != 1);
        std::vector<int64_t> own{rank, rank};
        if (rank == 1) {
          EXPECT_THROW(ends.allreduce<int64_t>(own, own), fdl::InvalidArgument);
          return;
        }
        std::vector<int64_t> all(2);
        ends.allreduce<int64_t>(own, all);
        EXPECT_THAT(all, Each(2));
        all = own;
        ends.broadcast<int64_t>(all, 2);
        EXPECT_THAT(all, Each(2));
        EXPECT_THAT(ends.allgather<int64_t>(own), ElementsAre(0, 0, 2, 2));
        EXPECT_THAT(ends.alltoall<int64_t>(own), ElementsAre(0, 2));
        EXPECT_EQ(ends.alltoall<int64_t>(own, {2, 0}).size(), rank == 0 ? 4U : 0U);
        EXPECT_THAT(ends.reducescatter<int64_t>(own, FDL_MAX), ElementsAre(2));
        ends.barrier();
        EXPECT_THAT(ends.join(), ::testing::AnyOf(0, 2));
      },
      {{"process_sets", "0,2"}});
}

TEST(CxxProcessSets, ComeAndGo) {
  run_cxx(3, [](fdl::Session& session, int rank) {
    const fdl::ProcessSet ends = session.add_process_set({2, 0});
    EXPECT_EQ(ends.id(), 1U);
    fdl::ProcessSet same = ends;
    if (rank != 1)
      same.barrier();
    session.remove_process_set(ends);
    EXPECT_EQ(session.process_sets().size(), 1U);
    EXPECT_THROW(session.remove_process_set(ends), fdl::InvalidArgument);
    EXPECT_THROW(ends.ranks(), fdl::InvalidArgument);
    EXPECT_THROW(session.add_process_set({rank}), fdl::Mismatch);
    EXPECT_THAT(session.join(), ::testing::AnyOf(0, 1, 2));
  });
}

// What is refused before it is submitted has no name that others would wait for.
TEST(CxxProcessSets, WhatIsRefusedCountsAsEveryOther) {
  run_cxx(2, [](fdl::Session& session, int rank) {
    std::vector<float> own{1, 2, 3};
    std::vector<float> small(1);
    if (rank == 0) {
      EXPECT_THROW(session.allreduce<float>(own, small), fdl::InvalidArgument);
      EXPECT_THROW(session.allgather<float>(own, 2), fdl::InvalidArgument);
      EXPECT_THROW(session.reducescatter<float>(own, FDL_SUM, 0, "named"), fdl::InvalidArgument);
    } else {
      std::array<char, 64> name{};
      EXPECT_OK(fdl_next_name(session.get(), FDL_ALLREDUCE, 0, name.data(), name.size()));
      EXPECT_OK(fdl_next_name(session.get(), FDL_ALLGATHER, 0, name.data(), name.size()));
    }
    session.allreduce<float>(own, own);
    EXPECT_THAT(own, ElementsAre(2, 4, 6));
    EXPECT_EQ(session.allgather<float>(own).size(), 6U);
    EXPECT_EQ(session.reducescatter<float>(own).size(), rank == 0 ? 2U : 1U);
  });
}

}  // namespace
}  // namespace farandole::testing

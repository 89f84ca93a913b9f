#include "collectives/shm/connect.h"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>

#include "gtest/gtest.h"

#include "tests/support/descriptors.h"
#include "tests/support/memory_store.h"
#include "tests/support/thread_cluster.h"

namespace farandole::shm {
namespace {

using namespace std::chrono_literals;
using testing::MemoryStore;
using testing::open_descriptors;
using testing::ThreadCluster;

GroupSpec spec_of(int index, int size, const std::string& tag = "group") {
  GroupSpec spec;
  spec.tag = tag;
  spec.job = "job";
  spec.index = index;
  for (int i = 0; i < size; ++i) spec.members.push_back({10 + i, "host", ::getpid(), "127.0.0.1"});
  return spec;
}

Config small_config() {
  Config config;
  config.shm_slot_bytes = 4096;
  return config;
}

std::vector<Status> connect_all(int size, const Config& config, MemoryStore& store) {
  ThreadCluster cluster(size);
  return cluster.run(
      [&](int rank) { return connect(spec_of(rank, size), store, config).status(); });
}

TEST(Connect, LeavesNoDescriptorOpen) {
  const size_t before = open_descriptors();
  MemoryStore store;
  ThreadCluster cluster(3);
  std::vector<std::unique_ptr<Communicator>> communicators(3);
  for (const Status& status : cluster.run([&](int rank) {
         auto made = connect(spec_of(rank, 3), store, small_config());
         if (made)
           communicators[static_cast<size_t>(rank)] = std::move(made).value();
         return made.status();
       }))
    EXPECT_TRUE(status.is_ok()) << status.to_string();
  EXPECT_EQ(open_descriptors(), before);
}

TEST(Connect, AllHearThatThereIsNoRoom) {
  Config config;
  config.shm_slot_bytes = 1 << 30;
  config.shm_slots = 64;
  MemoryStore store;
  // 64 GiB for each of 64 members; nothing is reserved before it is known that it cannot be.
  const auto statuses = connect_all(64, config, store);
  for (const Status& status : statuses) {
    EXPECT_EQ(status.code(), Code::Unsupported) << status.to_string();
    EXPECT_EQ(status, statuses[0]);
  }
}

TEST(Connect, AllHearThatOneMemberCouldNotAttach) {
  // Member 1 is of another job: to it the memory is a stranger's.
  MemoryStore store;
  ThreadCluster cluster(3);
  const auto statuses = cluster.run([&](int rank) {
    GroupSpec spec = spec_of(rank, 3);
    if (rank == 1)
      spec.job = "another";
    return connect(spec, store, small_config()).status();
  });
  for (const Status& status : statuses) {
    EXPECT_EQ(status.code(), Code::Unsupported) << status.to_string();
    EXPECT_NE(status.message().find("rank 11"), std::string::npos) << status.to_string();
    EXPECT_NE(status.message().find("shared memory of rank 10 (host host)"), std::string::npos)
        << status.to_string();
  }
}

TEST(Connect, AnAbsentMemberEndsItForAll) {
  Config config = small_config();
  config.start_timeout = 2s;
  MemoryStore store;
  ThreadCluster cluster(3);
  const auto statuses = cluster.run([&](int rank) {
    return rank == 2 ? Status::ok() : connect(spec_of(rank, 3), store, config).status();
  });
  EXPECT_EQ(statuses[0].code(), Code::Timeout) << statuses[0].to_string();
  EXPECT_NE(statuses[0].message().find("rank 12"), std::string::npos) << statuses[0].to_string();
  EXPECT_EQ(statuses[1].code(), Code::Timeout) << statuses[1].to_string();
}

TEST(Connect, WhoDoesNotAnswerIsNamedWithTheSetting) {
  Config config = small_config();
  config.start_timeout = 200ms;
  MemoryStore store;
  const Status status = connect(spec_of(1, 2), store, config).status();
  EXPECT_EQ(status.code(), Code::Timeout);
  EXPECT_NE(status.message().find("rank 10 (host host) does not answer"), std::string::npos)
      << status.message();
  EXPECT_NE(status.message().find("FARANDOLE_START_TIMEOUT"), std::string::npos)
      << status.message();
}

TEST(Connect, AFailedJobEndsItAtOnce) {
  MemoryStore store;
  const TimePoint start = steady_now();
  ThreadCluster cluster(4);
  const Status lost(Code::PeerLost, "rank 13 died");
  const auto statuses = cluster.run([&](int rank) {
    if (rank == 3) {
      store.fail(lost);
      return lost;
    }
    return connect(spec_of(rank, 4), store, small_config()).status();
  });
  for (const Status& status : statuses)
    EXPECT_EQ(status.code(), Code::PeerLost) << status.to_string();
  EXPECT_LT(steady_now() - start, 10s);
}

TEST(Connect, GroupsDoNotMeet) {
  MemoryStore store;
  ThreadCluster cluster(4);
  const auto statuses = cluster.run([&](int rank) {
    auto made =
        connect(spec_of(rank / 2, 2, rank % 2 == 0 ? "even" : "odd"), store, small_config());
    if (!made)
      return made.status();
    int32_t value = rank;
    const Segment segment{&value, &value, 1};
    CollectiveOp op;
    op.dtype = DType::Int32;
    op.segments = {&segment, 1};
    const Status status = made.value()->run(op, 0);
    EXPECT_EQ(value, rank % 2 == 0 ? 0 + 2 : 1 + 3);
    return status;
  });
  for (const Status& status : statuses) EXPECT_TRUE(status.is_ok()) << status.to_string();
}

// Many members in the smallest slots: each still has room for the others.
TEST(Connect, ManyMembersInSmallSlots) {
  constexpr int kSize = 80;
  MemoryStore store;
  ThreadCluster cluster(kSize);
  const auto statuses = cluster.run([&](int rank) {
    auto made = connect(spec_of(rank, kSize), store, small_config());
    if (!made)
      return made.status();
    std::vector<int32_t> in(kSize), out(kSize);
    for (int i = 0; i < kSize; ++i) in[static_cast<size_t>(i)] = 1000 * rank + i;
    const Segment segment{in.data(), out.data(), kSize};
    const std::vector<size_t> counts(static_cast<size_t>(kSize) * kSize, 1);
    CollectiveOp op;
    op.kind = CollectiveKind::Alltoall;
    op.dtype = DType::Int32;
    op.segments = {&segment, 1};
    op.counts = counts;
    const Status status = made.value()->run(op, 0);
    for (int i = 0; i < kSize; ++i) EXPECT_EQ(out[static_cast<size_t>(i)], 1000 * i + rank);
    return status;
  });
  for (const Status& status : statuses) EXPECT_TRUE(status.is_ok()) << status.to_string();
}

}  // namespace
}  // namespace farandole::shm

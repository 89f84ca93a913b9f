// More elements than 32 bits count. Takes some 7 GiB; `make test-large` runs it, ctest does not.
#include <chrono>
#include <memory>
#include <vector>

#include "gtest/gtest.h"

#include "collectives/shm/connect.h"
#include "tests/support/memory_store.h"
#include "tests/support/thread_cluster.h"

namespace farandole::shm {
namespace {

using namespace std::chrono_literals;

uint8_t pattern(size_t i, int rank) {
  return static_cast<uint8_t>((i >> 24) + i * 7 + static_cast<size_t>(rank));
}

class Large : public ::testing::Test {
 protected:
  void SetUp() override {
    Config config;
    config.data_timeout = 60s;
    for (const Status& status : cluster_.run([&](int rank) {
           GroupSpec spec{"large", rank, {{0, "host", 0, ""}, {1, "host", 0, ""}}, {}, "job"};
           auto made = connect(spec, store_, config);
           if (made)
             communicators_[static_cast<size_t>(rank)] = std::move(made).value();
           return made.status();
         }))
      ASSERT_TRUE(status.is_ok()) << status.to_string();
  }
  void run(const testing::ThreadCluster::Body& body) {
    for (const Status& status : cluster_.run(body))
      EXPECT_TRUE(status.is_ok()) << status.to_string();
  }
  Communicator& at(int rank) { return *communicators_[static_cast<size_t>(rank)]; }

  testing::MemoryStore store_;
  testing::ThreadCluster cluster_{2};
  std::vector<std::unique_ptr<Communicator>> communicators_{2};
};

TEST_F(Large, AllreduceOfMoreThan31Bits) {
  constexpr size_t kCount = (size_t{1} << 31) + 5;
  run([&](int rank) {
    std::vector<uint8_t> data(kCount);
    for (size_t i = 0; i < kCount; ++i) data[i] = pattern(i, rank);
    const Segment segment{data.data(), data.data(), kCount};
    CollectiveOp op;
    op.dtype = DType::Uint8;
    op.segments = {&segment, 1};
    const Status status = at(rank).run(op, 0);
    size_t wrong = 0;
    for (size_t i = 0; i < kCount; ++i)
      wrong += data[i] != static_cast<uint8_t>(pattern(i, 0) + pattern(i, 1)) ? 1 : 0;
    EXPECT_EQ(wrong, 0u) << "rank " << rank;
    return status;
  });
}

TEST_F(Large, RaggedAllgatherOfMoreThan31Bits) {
  const std::vector<size_t> counts{(size_t{1} << 30) + 7, (size_t{1} << 30) + 1};
  run([&](int rank) {
    std::vector<uint8_t> out(counts[0] + counts[1]);
    const size_t begin = rank == 0 ? 0 : counts[0];
    for (size_t i = 0; i < counts[static_cast<size_t>(rank)]; ++i)
      out[begin + i] = pattern(i, rank);
    const Segment segment{out.data() + begin, out.data(), counts[static_cast<size_t>(rank)]};
    CollectiveOp op;
    op.kind = CollectiveKind::Allgather;
    op.dtype = DType::Uint8;
    op.segments = {&segment, 1};
    op.counts = counts;
    const Status status = at(rank).run(op, 0);
    size_t wrong = 0;
    for (size_t i = 0; i < out.size(); ++i)
      wrong += out[i] != (i < counts[0] ? pattern(i, 0) : pattern(i - counts[0], 1)) ? 1 : 0;
    EXPECT_EQ(wrong, 0u) << "rank " << rank;
    return status;
  });
}

}  // namespace
}  // namespace farandole::shm

// More elements than 31 bits count, through every communicator. Takes some 7 GiB; `make test-large`
// runs it, ctest does not.
#include <memory>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"

#include "collectives/gloo/connect.h"
#include "collectives/hierarchical/connect.h"
#include "collectives/shm/connect.h"
#include "tests/contract/group.h"

namespace farandole::testing {
namespace {

// What no 32 bits tell from one another gets different values.
uint8_t pattern(size_t i, int rank) {
  return static_cast<uint8_t>((i >> 24) + i * 7 + static_cast<size_t>(rank));
}

Result<std::unique_ptr<Communicator>> connect_gloo(
    const GroupSpec& spec, Store& store, const Config& config) {
  return gloo_comm::connect(spec, store, config);
}

Result<std::unique_ptr<Communicator>> connect_hierarchical(
    const GroupSpec& spec, Store& store, const Config& config) {
  return hierarchical::connect(spec, store, config, shm::connect, connect_gloo);
}

struct Place {
  const char* name;
  Backend::Connect connect;
  int size;
  int on_a_host;
};

class Large : public ::testing::TestWithParam<Place> {
 protected:
  void SetUp() override {
    const int on_a_host = GetParam().on_a_host;
    Backend backend{.name = GetParam().name, .connect = GetParam().connect};
    backend.host_of = [=](int index, int) { return fmt::format("host{}", index / on_a_host); };
    Config config;
    config.data_timeout = 60s;
    group_ = std::make_unique<Group>(backend, GetParam().size, config);
    ASSERT_TRUE(group_->connected().is_ok()) << group_->connected().to_string();
  }
  void run(const ThreadCluster::Body& body) {
    const Status status = group_->run(body);
    EXPECT_TRUE(status.is_ok()) << status.to_string();
  }
  Status run_op(int rank, CollectiveOp op, const Segment& segment) {
    op.dtype = DType::Uint8;
    op.segments = {&segment, 1};
    return group_->at(rank).run(op, 0);
  }
  // An allreduce in place, and how many results are not `want(i)`.
  template <typename Want>
  void allreduce(ReduceOp reduce, const Want& want) {
    constexpr size_t kCount = (size_t{1} << 31) + 5;
    run([&](int rank) {
      std::vector<uint8_t> data(kCount);
      for (size_t i = 0; i < kCount; ++i) data[i] = pattern(i, rank);
      const Segment segment{data.data(), data.data(), kCount};
      const Status status = run_op(rank, {.reduce = reduce}, segment);
      size_t wrong = 0;
      for (size_t i = 0; i < kCount; ++i) wrong += data[i] != want(i) ? 1 : 0;
      EXPECT_EQ(wrong, 0U) << "rank " << rank;
      return status;
    });
  }
  // Of all ranks' values at `i`.
  static unsigned sum(size_t i) {
    unsigned sum = 0;
    for (int rank = 0; rank < GetParam().size; ++rank) sum += pattern(i, rank);
    return sum;
  }

  std::unique_ptr<Group> group_;
};

TEST_P(Large, AllreduceOfMoreThan31Bits) {
  allreduce(ReduceOp::Sum, [](size_t i) { return static_cast<uint8_t>(sum(i)); });
}

TEST_P(Large, AverageOfMoreThan31Bits) {
  const auto size = static_cast<unsigned>(GetParam().size);
  allreduce(ReduceOp::Average, [=](size_t i) { return static_cast<uint8_t>(sum(i) / size); });
}

TEST_P(Large, RaggedAllgatherOfMoreThan31Bits) {
  std::vector<size_t> counts{(size_t{1} << 30) + 7, (size_t{1} << 30) + 1, 3};
  counts.resize(static_cast<size_t>(GetParam().size));
  run([&](int rank) {
    const auto place = static_cast<size_t>(rank);
    std::vector<size_t> begins(counts.size() + 1);
    std::partial_sum(counts.begin(), counts.end(), begins.begin() + 1);
    std::vector<uint8_t> out(begins.back());
    for (size_t i = 0; i < counts[place]; ++i) out[begins[place] + i] = pattern(i, rank);
    const Segment segment{out.data() + begins[place], out.data(), counts[place]};
    const Status status =
        run_op(rank, {.kind = CollectiveKind::Allgather, .counts = counts}, segment);
    size_t wrong = 0;
    for (size_t member = 0; member < counts.size(); ++member)
      for (size_t i = 0; i < counts[member]; ++i)
        wrong += out[begins[member] + i] != pattern(i, static_cast<int>(member)) ? 1 : 0;
    EXPECT_EQ(wrong, 0U) << "rank " << rank;
    return status;
  });
}

INSTANTIATE_TEST_SUITE_P(
    All,
    Large,
    ::testing::Values(
        Place{"Shm", shm::connect, 2, 2},
        Place{"Gloo", connect_gloo, 2, 1},
        Place{"Hierarchical", connect_hierarchical, 3, 2}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace farandole::testing

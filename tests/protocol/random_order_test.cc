// Whatever the order in which ranks submit and messages arrive: all ranks are told the same, every
// tensor is answered once, and what fits together is agreed upon.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/protocol/cluster.h"

namespace farandole::control {
namespace {

struct Case {
  size_t size;
  size_t cache;
  size_t tensors;
  int steps;
  uint64_t seed;
};

class RandomOrder : public testing::TestWithParam<Case> {
 protected:
  using Engine = std::mt19937_64;

  size_t below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }

  // Tensors 0, 10, 20 … are ragged, some change their shape from step to step, some mismatch.
  Announcement item(size_t index, int step, int rank) {
    const bool misfit = mismatched(index, step) && rank == static_cast<int>(GetParam().size) - 1;
    Announcement out{"layer/" + std::to_string(index), allreduce({4, misfit ? 9 : 3})};
    Signature& s = out.signature;
    if (index % 10 == 0) {
      s.kind = CollectiveKind::Allgather;
      s.shape[0] = index % 20 == 0 ? rank : rank + step % 2;
    }
    if (index % 7 == 3)
      s.shape.push_back(1 + step / 2);
    return out;
  }

  static bool mismatched(size_t index, int step) {
    return (index + static_cast<size_t>(step)) % 13 == 5;
  }

  void one_step(Cluster& cluster, int step);
  void check(Cluster& cluster, int step, size_t first_round);

  Engine random_;
};

void RandomOrder::one_step(Cluster& cluster, int step) {
  const Case& p = GetParam();
  std::vector<std::vector<size_t>> todo(p.size, std::vector<size_t>(p.tensors));
  for (auto& order : todo) {
    for (size_t i = 0; i < p.tensors; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random_);
  }
  const auto busy = [&] {
    for (size_t r = 0; r < p.size; ++r)
      if (!todo[r].empty() || cluster.up_waiting(static_cast<int>(r)) ||
          cluster.down_waiting(static_cast<int>(r)))
        return true;
    return cluster.coordinator().pending() > 0;
  };
  for (size_t move = 0; busy(); ++move) {
    ASSERT_LT(move, 4000 * p.size * p.tensors) << "nothing settles";
    const size_t r = below(p.size);
    const int rank = static_cast<int>(r);
    switch (below(4)) {
      case 0: {
        std::vector<Announcement> batch;
        for (size_t n = 1 + below(32); n > 0 && !todo[r].empty(); --n, todo[r].pop_back())
          batch.push_back(item(todo[r].back(), step, rank));
        if (!batch.empty())
          cluster.announce(rank, std::move(batch));
        break;
      }
      case 1:
        if (cluster.up_waiting(rank))
          cluster.step_up(rank);
        break;
      case 2:
        if (cluster.down_waiting(rank))
          cluster.step_down(rank);
        break;
      default:
        cluster.flush();
    }
  }
  cluster.settle();
}

void RandomOrder::check(Cluster& cluster, int step, size_t first_round) {
  const Case& p = GetParam();
  const std::vector<Agreement>& told = cluster.seen(0).agreements;
  for (size_t r = 1; r < p.size; ++r)
    ASSERT_EQ(cluster.seen(static_cast<int>(r)).agreements, told) << "rank " << r;
  std::set<std::string> answered;
  for (size_t i = first_round; i < told.size(); ++i) {
    EXPECT_EQ(told[i].round, i + 1);
    for (const ReadyOp& op : told[i].ready) {
      const size_t index = std::stoul(op.name.substr(6));
      EXPECT_TRUE(answered.insert(op.name).second) << op.name;
      EXPECT_FALSE(mismatched(index, step)) << op.name;
      std::vector<int64_t> rows;
      for (size_t r = 0; index % 10 == 0 && r < p.size; ++r)
        rows.push_back(item(index, step, static_cast<int>(r)).signature.shape[0]);
      EXPECT_EQ(op.extents, rows) << op.name;
    }
    for (const Rejection& rejection : told[i].rejected) {
      EXPECT_TRUE(answered.insert(rejection.name).second) << rejection.name;
      EXPECT_TRUE(mismatched(std::stoul(rejection.name.substr(6)), step)) << rejection.name;
      EXPECT_EQ(rejection.why.code(), Code::Mismatch);
    }
  }
  EXPECT_EQ(answered.size(), p.tensors);
}

TEST_P(RandomOrder, AllRanksAreToldTheSame) {
  const Case& p = GetParam();
  random_.seed(p.seed);
  Limits limits = small_limits(p.size);
  limits.cache_capacity = p.cache;
  Cluster cluster({limits, {}});
  cluster.form();
  for (int step = 0; step < p.steps; ++step) {
    const size_t first_round = cluster.seen(0).agreements.size();
    one_step(cluster, step);
    check(cluster, step, first_round);
    EXPECT_LE(cluster.coordinator().cached(), p.cache);
    ASSERT_EQ(cluster.coordinator().pending(), 0U);
    ASSERT_FALSE(cluster.coordinator().failed());
    for (size_t r = 0; r < p.size; ++r)
      ASSERT_EQ(cluster.worker(static_cast<int>(r)).cached(), cluster.coordinator().cached());
  }
  EXPECT_EQ(cluster.coordinator().dropped(), Dropped{});
}

std::vector<Case> cases() {
  std::vector<Case> out;
  uint64_t seed = 1;
  for (const size_t size : {2U, 3U, 5U, 8U})
    for (const size_t cache : {0U, 1U, 4U, 40U, 16384U})
      out.push_back({size, cache, 60, 6, seed++});
  out.push_back({2, 16384, 4000, 4, 100});
  out.push_back({4, 1000, 3000, 3, 101});
  for (; seed < 60; ++seed) out.push_back({2 + seed % 3, seed % 9, 12, 12, seed});
  return out;
}

INSTANTIATE_TEST_SUITE_P(
    Seeds, RandomOrder, testing::ValuesIn(cases()), [](const testing::TestParamInfo<Case>& info) {
      const Case& p = info.param;
      return "ranks" + std::to_string(p.size) + "_cache" + std::to_string(p.cache) + "_tensors" +
             std::to_string(p.tensors) + "_seed" + std::to_string(p.seed);
    });

}  // namespace
}  // namespace farandole::control

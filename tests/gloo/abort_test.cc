// Every algorithm of Gloo gives right results over the mesh, and is ended by abort() at any size,
// whether its peers take part or not.
#include <gloo/common/error.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <latch>
#include <thread>

#include "tests/gloo/algorithms.h"
#include "tests/gloo/group.h"
#include "tests/support/reaction.h"

namespace farandole::testing {
namespace {

using namespace std::chrono_literals;

// Promised of a machine that is free.
constexpr Duration kAbortLimit = 100ms;

struct Case {
  size_t bytes;
  int members;
  bool all_take_part;
};

class AbortTest : public ::testing::TestWithParam<std::tuple<size_t, Case>> {
 protected:
  const Algorithm& algorithm() const { return algorithms()[std::get<0>(GetParam())]; }
  Case where() const { return std::get<1>(GetParam()); }
};

std::string case_name(const ::testing::TestParamInfo<AbortTest::ParamType>& info) {
  const Case& where = std::get<1>(info.param);
  return algorithms()[std::get<0>(info.param)].name + "_" + std::to_string(where.bytes) + "_" +
         (where.all_take_part ? "running" : "waiting");
}

TEST_P(AbortTest, Returns) {
  Group group(where().members);
  std::latch under_way(1);
  std::atomic<bool> began{false};
  Reaction reaction(kAbortLimit);
  std::thread aborter([&] {
    under_way.wait();
    if (!where().all_take_part)
      std::this_thread::sleep_for(20ms);  // any moment must do; this one finds them blocked
    reaction.begin();
    for (int rank = 0; rank < group.size(); ++rank)
      group.mesh(rank).abort({Code::Aborted, "enough"});
    reaction.told();
  });
  const auto ended = group.run([&](int rank) {
    if (rank == group.size() - 1 && !where().all_take_part)
      return Status::ok();
    const auto part = algorithm().make(group.context(rank), where().bytes / sizeof(float));
    if (rank == 0 && !where().all_take_part)
      under_way.count_down();
    try {
      for (;;) {
        part->run();
        if (rank == 0 && where().all_take_part && !began.exchange(true))
          under_way.count_down();
      }
    } catch (const ::gloo::IoException&) {
      reaction.returned();
    }
    return group.mesh(rank).status();
  });
  aborter.join();
  for (int rank = 0; rank < group.size() - (where().all_take_part ? 0 : 1); ++rank)
    EXPECT_EQ(ended[rank].to_string(), "Aborted: enough");
  EXPECT_EQ(reaction.complaint(), "");
  std::printf(
      "  returned after %.2f ms\n",
      std::chrono::duration<double, std::milli>(reaction.slowest()).count());
}

INSTANTIATE_TEST_SUITE_P(
    Gloo,
    AbortTest,
    ::testing::Combine(
        ::testing::Range<size_t>(0, algorithms().size()),
        ::testing::Values(
            Case{4, 4, true},
            Case{4, 4, false},
            Case{64 << 10, 4, true},
            Case{64 << 10, 4, false},
            Case{64 << 20, 2, true},
            Case{64 << 20, 2, false})),
    case_name);

class AlgorithmTest : public ::testing::TestWithParam<size_t> {};

TEST_P(AlgorithmTest, GivesTheRightResult) {
  const Algorithm& algorithm = algorithms()[GetParam()];
  for (const int members : {2, 3, 4}) {
    if (members == 3 && algorithm.name == "OldAllreduceBcube")
      continue;  // it takes powers of two only
    Group group(members);
    for (const size_t elements : {1, 1000, 300000}) {
      const auto ended = group.run([&](int rank) {
        const auto part = algorithm.make(group.context(rank), elements);
        for (int round = 0; round < 3; ++round) {
          part->run();
          if (!part->right())
            return Status(Code::Internal, "wrong result");
        }
        group.mesh(rank).flush();
        return Status::ok();
      });
      for (const Status& status : ended)
        EXPECT_EQ(status.to_string(), "Ok") << members << " members, " << elements << " elements";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Gloo, AlgorithmTest, ::testing::Range<size_t>(0, algorithms().size()), [](const auto& info) {
      return algorithms()[info.param].name;
    });

}  // namespace
}  // namespace farandole::testing

// Every algorithm of Gloo gives right results over the mesh, and is ended by abort() at any size,
// whether its peers take part or not.
#include <gloo/common/error.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <latch>
#include <thread>

#include "tests/gloo/algorithms.h"
#include "tests/gloo/group.h"
#include "tests/support/reaction.h"

namespace farandole::testing {
namespace {

using namespace std::chrono_literals;

constexpr Duration kAbortLimit = promised(100ms);

using Parts = std::vector<std::unique_ptr<AlgorithmRun>>;

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
         std::to_string(where.members) + (where.all_take_part ? "_running" : "_waiting");
}

TEST_P(AbortTest, Returns) {
  Group group(where().members);
  const bool all = where().all_take_part;
  const int taking_part = group.size() - (all ? 0 : 1);
  std::latch under_way(taking_part);
  // Freed when all have returned: who loses its core while it gives memory back keeps all others of
  // the process from theirs.
  Parts parts(static_cast<size_t>(group.size()));
  Reaction reaction(kAbortLimit);
  std::thread aborter([&] {
    under_way.wait();
    if (!all)
      std::this_thread::sleep_for(20ms);  // any moment must do; this one finds them blocked
    reaction.begin();
    for (int rank = 0; rank < group.size(); ++rank)
      group.mesh(rank).abort({Code::Aborted, "enough"});
    reaction.told();
  });
  const auto ended = group.run([&](int rank) {
    if (rank == taking_part)
      return Status::ok();
    const auto& part = parts[static_cast<size_t>(rank)] =
        algorithm().make(group.context(rank), where().bytes / sizeof(float));
    if (!all)
      under_way.count_down();
    try {
      for (bool first = all;; first = false) {
        part->run();
        if (first)
          under_way.count_down();
      }
    } catch (const ::gloo::IoException&) {
      reaction.returned();
    }
    return group.mesh(rank).status();
  });
  aborter.join();
  for (int rank = 0; rank < taking_part; ++rank)
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
            Case{4 << 20, 4, true},
            Case{4 << 20, 4, false},
            Case{64 << 20, 2, true},
            Case{64 << 20, 2, false})),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    GlooLarge,
    AbortTest,
    ::testing::Combine(
        ::testing::ValuesIn(in_several_steps()),
        ::testing::Values(Case{64 << 20, 4, true}, Case{64 << 20, 4, false})),
    case_name);

void expect_right_round(Group& group, const Parts& parts) {
  const auto part = [&](int rank) -> AlgorithmRun& { return *parts[static_cast<size_t>(rank)]; };
  group.run([&](int rank) {
    part(rank).prepare();
    return Status::ok();
  });
  const auto ended = group.run([&](int rank) {
    part(rank).run();
    group.mesh(rank).flush();
    return part(rank).right() ? Status::ok() : Status(Code::Internal, "wrong result");
  });
  for (const Status& status : ended) EXPECT_EQ(status.to_string(), "Ok");
}

class AlgorithmTest : public ::testing::TestWithParam<size_t> {};

TEST_P(AlgorithmTest, GivesTheRightResult) {
  const Algorithm& algorithm = algorithms()[GetParam()];
  for (const int members : {2, 3, 4}) {
    if (members == 3 && algorithm.name == "OldAllreduceBcube")
      continue;  // it takes powers of two only
    Group group(members);
    for (const size_t elements : {1, 1000, 300000}) {
      Parts parts(static_cast<size_t>(members));
      group.run([&](int rank) {
        parts[static_cast<size_t>(rank)] = algorithm.make(group.context(rank), elements);
        return Status::ok();
      });
      SCOPED_TRACE(std::to_string(members) + " members, " + std::to_string(elements) + " elements");
      for (int round = 0; round < 3; ++round) expect_right_round(group, parts);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Gloo, AlgorithmTest, ::testing::Range<size_t>(0, algorithms().size()), [](const auto& info) {
      return algorithms()[info.param].name;
    });

}  // namespace
}  // namespace farandole::testing

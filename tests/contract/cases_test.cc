#include "tests/contract/cases.h"

#include <algorithm>

#include "gtest/gtest.h"

#include "tests/contract/barrier_check.h"

namespace farandole::testing {
namespace {

TEST(Pairwise, CoversEveryPairWithFewRows) {
  const std::vector<int> domains{9, 5, 13, 6, 2, 2, 2, 2};
  const auto rows = pairwise(domains);
  for (size_t p = 0; p < domains.size(); ++p) {
    for (size_t q = p + 1; q < domains.size(); ++q) {
      for (int v = 0; v < domains[p]; ++v) {
        for (int w = 0; w < domains[q]; ++w)
          EXPECT_TRUE(std::any_of(
              rows.begin(),
              rows.end(),
              [&](const auto& row) { return row[p] == v && row[q] == w; }))
              << p << "=" << v << " " << q << "=" << w;
      }
    }
  }
  EXPECT_GE(rows.size(), 13u * 9u);  // no set can be smaller
  EXPECT_LE(rows.size(), 13u * 9u * 3u / 2u);
}

TEST(Cases, AreAllThere) {
  // 60 of the 65 pairs of dtype and operation on elements have a meaning: less bool Average, and
  // Min and Max of two complex types; and, of an allreduce, Adasum for four types. Bool, of which
  // there are 4, is never scaled.
  EXPECT_EQ(all_cases(CollectiveKind::Allreduce).size(), ((64u - 4u) * 2u + 4u) * 6u * 2u * 2u);
  EXPECT_EQ(all_cases(CollectiveKind::Allgather).size(), 13u * 6u * 2u * 2u);
  EXPECT_EQ(all_cases(CollectiveKind::Broadcast).size(), 13u * 6u * 2u * 2u);
  EXPECT_EQ(all_cases(CollectiveKind::Alltoall).size(), 13u * 6u * 2u);
  EXPECT_EQ(all_cases(CollectiveKind::Barrier).size(), 1u);
  EXPECT_EQ(all_cases(CollectiveKind::Reduce).size(), ((64u - 4u) * 2u - 4u) * 6u * 2u * 2u);
  EXPECT_EQ(all_cases(CollectiveKind::Gather).size(), 13u * 6u * 2u * 2u);
  EXPECT_EQ(all_cases(CollectiveKind::Scatter).size(), 13u * 6u * 2u * 2u);
}

// Its barrier keeps nobody.
class OpenDoor final : public Communicator {
 public:
  Traits traits() const noexcept override { return {"open", true}; }
  Status run(const CollectiveOp&, StreamHandle) override { return Status::ok(); }
  void abort(Status) noexcept override {}
};

TEST(BarrierCheck, FindsABarrierThatHoldsNobody) {
  const Backend backend{
      .name = "Open",
      .connect = [](const GroupSpec&, Store&, const Config&)
          -> Result<std::unique_ptr<Communicator>> { return {std::make_unique<OpenDoor>()}; }};
  for (const int size : {2, 3}) {
    Group group(backend, size, backend.config);
    EXPECT_TRUE(left_early(group, 1000)) << size;
  }
}

}  // namespace
}  // namespace farandole::testing

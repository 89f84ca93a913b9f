// What a member has for itself is copied in step with what goes to others, so that an abort comes
// between, however large it is.

#include <gtest/gtest.h>

#include <vector>

#include "collectives/shm/connect.h"
#include "tests/contract/group.h"

namespace farandole::testing {
namespace {

using namespace std::chrono_literals;

// The other member never comes.
void expect_not_copied_at_once(
    const Backend& backend, CollectiveKind kind, std::vector<size_t> counts) {
  Group group(backend, 2, backend.config);
  ASSERT_TRUE(group.connected().is_ok()) << group.connected().to_string();
  const size_t elements = 1 << 18;
  std::vector<float> in(elements + 2, 1.0F), out(elements + 2);
  const Segment segment{in.data(), out.data(), elements};
  CollectiveOp op;
  op.kind = kind;
  op.segments = {&segment, 1};
  op.counts = counts;
  const auto statuses =
      group.run_each([&](int rank) { return rank == 0 ? group.at(0).run(op, 0) : Status::ok(); });
  EXPECT_FALSE(statuses[0]);
  EXPECT_EQ(out[0], 1.0F) << name_of(kind) << " began";
  EXPECT_EQ(out[elements - 1], 0.0F) << name_of(kind) << " copied all without a look";
}

TEST(ShmSlices, OfAMembersOwnPart) {
  Backend backend{.name = "Shm", .connect = shm::connect};
  backend.config.data_timeout = 100ms;
  const size_t own = 1 << 18;
  expect_not_copied_at_once(backend, CollectiveKind::Allgather, {own, 1});
  expect_not_copied_at_once(backend, CollectiveKind::Gather, {own, 1});
  expect_not_copied_at_once(backend, CollectiveKind::Scatter, {own, 1});
  expect_not_copied_at_once(backend, CollectiveKind::Alltoall, {own, 1, 1, 1});
}

}  // namespace
}  // namespace farandole::testing

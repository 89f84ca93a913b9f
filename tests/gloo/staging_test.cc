// What an operation says for which there is no memory. More bytes than any process can have are
// asked for, so that nothing is allocated and nothing is sent.
#include "collectives/cpu/staging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "collectives/gloo/gloo_communicator.h"
#include "collectives/hierarchical/hierarchical_communicator.h"
#include "collectives/single/single_communicator.h"
#include "tests/gloo/group.h"

namespace farandole::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr size_t kUnlimited = SIZE_MAX;

// Of a tensor that is never looked at.
Status allreduce_huge(Communicator& communicator, DType dtype, size_t count) {
  uint64_t element = 0;
  const Segment segment{&element, &element, count};
  CollectiveOp op;
  op.dtype = dtype;
  op.segments = {&segment, 1};
  op.name = "grad";
  return communicator.run(op, 0);
}

TEST(Staging, IsKeptForTheNext) {
  cpu::Staging staging;
  uint8_t* const memory = staging.take(1000);
  EXPECT_EQ(staging.take(10), memory);
  EXPECT_THROW(staging.take(kUnlimited), cpu::NoStaging);
  EXPECT_EQ(staging.take(1000), memory);
}

TEST(Staging, GlooNamesTheBytesThatItLacks) {
  Group group(2);
  const std::shared_ptr<gloo_transport::Mesh> mesh(group.context(0), &group.mesh(0));
  gloo_comm::GlooCommunicator communicator(mesh, {.one_shot_bytes = kUnlimited});
  // Twice as much, for two members, is more than half of the address space.
  const Status status = allreduce_huge(communicator, DType::Uint8, (size_t{1} << 62) + 8);
  EXPECT_EQ(status.code(), Code::System);
  EXPECT_THAT(
      status.message(),
      AllOf(HasSubstr("allreduce \"grad\""), HasSubstr("9223372036854775824 bytes of staging")));
}

TEST(Staging, AHierarchyNamesTheBytesThatItLacks) {
  hierarchical::Parts parts;
  parts.layout = hierarchical::make_layout(group_spec(0, 1));
  parts.local = std::make_unique<single::SingleCommunicator>();
  parts.flat = std::make_unique<single::SingleCommunicator>();
  parts.staging_bytes = kUnlimited;
  hierarchical::HierarchicalCommunicator communicator(std::move(parts), 1);
  const Status status = allreduce_huge(communicator, DType::Float16, size_t{1} << 61);
  EXPECT_EQ(status.code(), Code::System);
  EXPECT_THAT(
      status.message(),
      AllOf(HasSubstr("allreduce \"grad\""), HasSubstr("9223372036854775808 bytes of staging")));
}

}  // namespace
}  // namespace farandole::testing

#include "collectives/cpu/cpu_device.h"

#include <cstdint>
#include <limits>
#include <vector>

#include "gtest/gtest.h"

namespace farandole::cpu {
namespace {

TEST(CpuDevice, AllocatesAligned) {
  CpuDevice device;
  for (const size_t bytes : {1, 63, 64, 65, 100000}) {
    const auto buffer = device.allocate(bytes);
    ASSERT_TRUE(buffer);
    EXPECT_EQ(buffer.value().bytes, bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.value().data.get()) % 64, 0u);
  }
  const auto empty = device.allocate(0);
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty.value().data, nullptr);
}

TEST(CpuDevice, SaysHowMuchItCouldNotGive) {
  CpuDevice device;
  const size_t huge = std::numeric_limits<size_t>::max() / 2;
  const auto none = device.allocate(huge);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.status().code(), Code::System);
  EXPECT_NE(none.status().message().find(std::to_string(huge)), std::string::npos);
  EXPECT_FALSE(device.allocate(std::numeric_limits<size_t>::max()));
}

TEST(CpuDevice, PacksAndUnpacks) {
  CpuDevice device;
  const std::vector<int32_t> a{1, 2, 3}, b{4};
  std::vector<int32_t> packed(4), c(3), d(1);
  const std::vector<Segment> segments{
      {a.data(), c.data(), 3}, {nullptr, nullptr, 0}, {b.data(), d.data(), 1}};
  ASSERT_TRUE(device.pack(segments, DType::Int32, packed.data(), 0).is_ok());
  EXPECT_EQ(packed, (std::vector<int32_t>{1, 2, 3, 4}));
  ASSERT_TRUE(device.unpack(packed.data(), segments, DType::Int32, 0).is_ok());
  EXPECT_EQ(c, a);
  EXPECT_EQ(d, b);
}

}  // namespace
}  // namespace farandole::cpu

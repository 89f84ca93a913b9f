// The identity elements, judged by the kernels that they are put into.

#include "core/identity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "collectives/cpu/cpu_device.h"
#include "collectives/cpu/reduce.h"
#include "tests/support/arithmetic.h"

namespace farandole {
namespace {

using testing::Bytes;

constexpr size_t kCount = 257;

// The values of a rank that takes part; floats with zeros of both signs and infinities among them.
Bytes values_of(DType dtype, ReduceOp op) {
  Bytes bytes = testing::make_values(dtype, op, kCount, 7);
  const auto put = [&](size_t place, auto value) {
    std::memcpy(bytes.data() + place * sizeof value, &value, sizeof value);
  };
  if (dtype == DType::Float32)
    put(0, 0.0F), put(1, -0.0F), put(2, INFINITY), put(3, -INFINITY);
  if (dtype == DType::Float64)
    put(0, 0.0), put(1, -0.0), put(2, static_cast<double>(INFINITY));
  if (dtype == DType::Float16)
    put(0, uint16_t{0}), put(1, uint16_t{0x8000}), put(2, uint16_t{0x7C00});
  return bytes;
}

TEST(Identity, ChangesNoBitWhereverItStands) {
  for (int d = 0; d < kDTypeCount; ++d)
    for (int o = 0; o < kElementwiseOpCount; ++o)
      for (const double prescale : {1.0, 0.5, 3.0, -2.0, 0.0}) {
        const auto dtype = static_cast<DType>(d);
        const auto op = static_cast<ReduceOp>(o);
        const bool scales = dtype != DType::Bool && op != ReduceOp::Product;
        // Scaled by 0 all is 0, of either sign, and which sign wins is chance.
        const bool signs =
            prescale == 0.0 && is_float(dtype) && (op == ReduceOp::Min || op == ReduceOp::Max);
        if (!has_meaning(op, dtype) || (prescale != 1.0 && !scales) || signs)
          continue;
        const size_t size = size_of(dtype);
        const Element element = identity_element(op, dtype, prescale);
        Bytes none(kCount * size);
        ASSERT_TRUE(
            cpu::CpuDevice().fill(none.data(), std::span(element).first(size), kCount, 0).is_ok());
        const Bytes own = values_of(dtype, op);
        const cpu::ReduceSpec spec{dtype, op, prescale, 1.0, 1};
        Bytes alone(own.size());
        const void* const one[] = {own.data()};
        cpu::reduce(spec, alone.data(), one, kCount);
        for (const bool first : {true, false}) {
          Bytes with(own.size());
          const void* const both[] = {
              first ? none.data() : own.data(), first ? own.data() : none.data()};
          cpu::reduce(spec, with.data(), both, kCount);
          for (size_t i = 0; i < kCount; ++i)
            ASSERT_EQ(std::memcmp(with.data() + i * size, alone.data() + i * size, size), 0)
                << name_of(op) << " of " << name_of(dtype) << " scaled by " << prescale
                << ", element " << i << (first ? ", it comes first" : "");
        }
      }
}

TEST(Fill, RepeatsTheElementAndNothingElse) {
  for (const size_t size : {1U, 2U, 4U, 8U, 16U})
    for (const size_t count : {0U, 1U, 2U, 3U, 7U, 100U}) {
      std::vector<std::byte> element(size);
      for (size_t i = 0; i < size; ++i) element[i] = static_cast<std::byte>(i + 1);
      std::vector<std::byte> memory(size * count + 1, std::byte{99});
      ASSERT_TRUE(cpu::CpuDevice().fill(memory.data(), element, count, 0).is_ok());
      for (size_t i = 0; i < size * count; ++i) ASSERT_EQ(memory[i], element[i % size]);
      EXPECT_EQ(memory.back(), std::byte{99});
    }
}

}  // namespace
}  // namespace farandole

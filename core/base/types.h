#pragma once
// The vocabulary shared by every layer: dtypes, kinds of collective, reduce operations, devices.
// The numeric values are part of the C ABI and of the wire protocol; add only at the end. (Kinds
// that are no collective are no part of the C ABI; they come last.)

#include <cstddef>
#include <cstdint>

namespace farandole {

enum class DType : uint8_t {
  Uint8 = 0,
  Int8 = 1,
  Uint16 = 2,
  Int16 = 3,
  Int32 = 4,
  Int64 = 5,
  Float16 = 6,
  Bfloat16 = 7,
  Float32 = 8,
  Float64 = 9,
  Bool = 10,  // one byte, 0 or 1
  Complex64 = 11,
  Complex128 = 12,
};
inline constexpr int kDTypeCount = 13;

enum class CollectiveKind : uint8_t {
  Allreduce = 0,
  Allgather = 1,
  Broadcast = 2,
  Reducescatter = 3,
  Alltoall = 4,
  Barrier = 5,
  Reduce = 6,
  Gather = 7,
  Scatter = 8,
  // From one member to another. Communicators carry it out as a broadcast between the two.
  Message = 9,
  // What ranks agree upon like a collective, and nothing carries out.
  Join = 10,
  AddProcessSet = 11,
  RemoveProcessSet = 12,
};
inline constexpr int kCollectiveKindCount = 9;  // of those that communicators carry out
inline constexpr int kCarriedKindCount = 10;    // of those that are carried out
inline constexpr int kKindCount = 13;

// All but Adasum work on each element by itself.
enum class ReduceOp : uint8_t { Sum = 0, Average = 1, Min = 2, Max = 3, Product = 4, Adasum = 5 };
inline constexpr int kElementwiseOpCount = 5;
inline constexpr int kReduceOpCount = 6;

enum class DeviceType : uint8_t { Cpu = 0, Cuda = 1 };

struct DeviceId {
  DeviceType type = DeviceType::Cpu;
  int32_t index = 0;
  bool operator==(const DeviceId&) const = default;
};

// An opaque stream of the device's framework (cudaStream_t as an integer); 0 on the CPU.
using StreamHandle = uint64_t;

size_t size_of(DType dtype) noexcept;
const char* name_of(DType dtype) noexcept;          // "float32"
const char* name_of(CollectiveKind kind) noexcept;  // "allreduce"
const char* name_of(ReduceOp op) noexcept;          // "Sum"
const char* name_of(DeviceType type) noexcept;      // "cpu"

constexpr bool is_float(DType d) noexcept {
  return d == DType::Float16 || d == DType::Bfloat16 || d == DType::Float32 || d == DType::Float64;
}
constexpr bool is_complex(DType d) noexcept {
  return d == DType::Complex64 || d == DType::Complex128;
}
constexpr bool is_half(DType d) noexcept {
  return d == DType::Float16 || d == DType::Bfloat16;
}
constexpr bool is_integer(DType d) noexcept {
  return !is_float(d) && !is_complex(d) && d != DType::Bool;
}
constexpr bool is_collective(CollectiveKind k) noexcept {
  return static_cast<int>(k) < kCollectiveKindCount;
}
// Collectives and messages: what users submit with tensors, and lanes carry out.
constexpr bool is_carried(CollectiveKind k) noexcept {
  return static_cast<int>(k) < kCarriedKindCount;
}
constexpr bool reduces(CollectiveKind k) noexcept {
  return k == CollectiveKind::Allreduce || k == CollectiveKind::Reducescatter ||
         k == CollectiveKind::Reduce;
}
// Has one rank from which or to which everything goes.
constexpr bool has_root(CollectiveKind k) noexcept {
  return k == CollectiveKind::Broadcast || k == CollectiveKind::Reduce ||
         k == CollectiveKind::Gather || k == CollectiveKind::Scatter;
}
// One rank says what there is: dtype and shape. The others' signatures are those of of_receiver(),
// but where the receiver of a message has memory for it.
constexpr bool one_tells(CollectiveKind k) noexcept {
  return k == CollectiveKind::Scatter || k == CollectiveKind::Message;
}
// The result is the root's alone.
constexpr bool ends_at_root(CollectiveKind k) noexcept {
  return k == CollectiveKind::Reduce || k == CollectiveKind::Gather;
}
// Gathers the rows of all members, which need not have as many.
constexpr bool gathers(CollectiveKind k) noexcept {
  return k == CollectiveKind::Allgather || k == CollectiveKind::Gather;
}
constexpr bool is_elementwise(ReduceOp op) noexcept {
  return static_cast<int>(op) < kElementwiseOpCount;
}
// Whether a kind that reduces can do so by `op`: Adasum looks at whole tensors, which only an
// allreduce leaves whole.
constexpr bool takes(CollectiveKind k, ReduceOp op) noexcept {
  return k == CollectiveKind::Allreduce || is_elementwise(op);
}
// Whether `op` has a meaning for `dtype`: bool has no Average, complex no Min and Max, and Adasum,
// which measures lengths and angles, is for floats alone.
// (bool: Sum and Max are "or", Product and Min are "and".)
constexpr bool has_meaning(ReduceOp op, DType dtype) noexcept {
  if (op == ReduceOp::Adasum)
    return is_float(dtype);
  if (dtype == DType::Bool)
    return op != ReduceOp::Average;
  if (is_complex(dtype))
    return op != ReduceOp::Min && op != ReduceOp::Max;
  return true;
}

// Those with a meaning for `dtype`, for error lines: "Sum, Min, Max and Product".
const char* meaningful_ops(DType dtype) noexcept;

}  // namespace farandole

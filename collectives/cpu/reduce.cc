#include "collectives/cpu/reduce.h"

#include <algorithm>
#include <array>

#include "collectives/cpu/copy.h"
#include "collectives/cpu/reduce_kernels.h"
#include "core/base/format.h"

namespace farandole::cpu {
namespace {

// Results that go elsewhere besides, or around the caches, are made in pieces that stay in L1.
constexpr size_t kPieceBytes = 8192;

Kernel pick(DType dtype, ReduceOp op, bool scaled) {
  Kernel kernel = float_kernel(dtype, op, scaled);
  if (kernel == nullptr)
    kernel = half_kernel(dtype, op, scaled);
  if (kernel == nullptr && !scaled)
    kernel = integer_kernel(dtype, op);
  return kernel != nullptr ? kernel : scalar_kernel(dtype, op, scaled);
}

size_t divisor_of(const ReduceSpec& spec) {
  return spec.op == ReduceOp::Average ? spec.members : 1;
}

bool is_scaled(const ReduceSpec& spec) {
  return divisor_of(spec) != 1 || spec.prescale != 1.0 || spec.postscale != 1.0;
}

// A complex number is two floats to every operation that works on its parts alone.
bool splits(const ReduceSpec& spec) {
  return is_complex(spec.dtype) && spec.op != ReduceOp::Product;
}

DType computed_dtype(const ReduceSpec& spec) {
  if (!splits(spec))
    return spec.dtype;
  return spec.dtype == DType::Complex64 ? DType::Float32 : DType::Float64;
}

}  // namespace

Status check(const ReduceSpec& spec) {
  if (!has_meaning(spec.op, spec.dtype))
    return error(
        Code::Unsupported, "{} has no meaning for {}", name_of(spec.op), name_of(spec.dtype));
  if (spec.dtype == DType::Bool && (spec.prescale != 1.0 || spec.postscale != 1.0))
    return error(
        Code::InvalidArgument,
        "bool cannot be scaled: prescale {} and postscale {} were given, 1 is wanted",
        spec.prescale,
        spec.postscale);
  if (spec.members == 0)
    return error(Code::InvalidArgument, "a reduction needs at least one member");
  return Status::ok();
}

bool is_identity(const ReduceSpec& spec) noexcept {
  // bool is not: its bytes are brought to 0 or 1.
  return spec.dtype != DType::Bool && !is_scaled(spec);
}

void reduce(
    const ReduceSpec& spec,
    void* dst,
    std::span<const void* const> sources,
    size_t count,
    StorePolicy policy) {
  Reducer(spec).to(dst, sources, count, policy);
}

Reducer::Reducer(const ReduceSpec& spec)
    : kernel_(pick(computed_dtype(spec), spec.op, is_scaled(spec))),
      prescale_(spec.prescale),
      postscale_(spec.postscale),
      divisor_(divisor_of(spec)),
      element_bytes_(size_of(computed_dtype(spec))),
      parts_(splits(spec) ? 2 : 1) {}

void Reducer::to(
    void* dst, std::span<const void* const> sources, size_t count, StorePolicy policy) const {
  const Scales scales{prescale_, postscale_, divisor_};
  const size_t total = count * parts_;
  if (policy == StorePolicy::Plain) {
    kernel_({scales, dst, sources, 0, total});
    return;
  }
  alignas(64) std::array<char, kPieceBytes> piece;
  const size_t step = kPieceBytes / element_bytes_;
  for (size_t first = 0; first < total; first += step) {
    const size_t part = std::min(step, total - first);
    kernel_({scales, piece.data(), sources, first, part});
    char* place = static_cast<char*>(dst) + first * element_bytes_;
    copy(place, piece.data(), part * element_bytes_, policy);
  }
}

void Reducer::to_both(
    void* dst,
    void* second,
    std::span<const void* const> sources,
    size_t count,
    StorePolicy policy) const {
  const Scales scales{prescale_, postscale_, divisor_};
  const size_t total = count * parts_;
  const size_t step = kPieceBytes / element_bytes_;
  for (size_t first = 0; first < total; first += step) {
    const size_t part = std::min(step, total - first);
    char* piece = static_cast<char*>(dst) + first * element_bytes_;
    kernel_({scales, piece, sources, first, part});
    char* place = static_cast<char*>(second) + first * element_bytes_;
    copy(place, piece, part * element_bytes_, policy);
  }
}

}  // namespace farandole::cpu

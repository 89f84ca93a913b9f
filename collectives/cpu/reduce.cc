#include "collectives/cpu/reduce.h"

#include "collectives/cpu/copy.h"
#include "collectives/cpu/reduce_kernels.h"
#include "core/base/format.h"

namespace farandole::cpu {
namespace {

Kernel simd_kernel(DType dtype, ReduceOp op, bool scaled) {
  if (is_half(dtype))
    return half_kernel(dtype, op, scaled);
  if (is_float(dtype))
    return float_kernel(dtype, op, scaled);
  return scaled ? nullptr : integer_kernel(dtype, op);
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
        Code::Unsupported,
        "{} has no meaning for {}; {} have",
        name_of(spec.op),
        name_of(spec.dtype),
        meaningful_ops(spec.dtype));
  if (!is_elementwise(spec.op))
    return error(Code::Unsupported, "{} does not work element by element", name_of(spec.op));
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

void reduce(const ReduceSpec& spec, void* dst, std::span<const void* const> sources, size_t count) {
  Reducer(spec).to(dst, sources, count);
}

Reducer::Reducer(const ReduceSpec& spec)
    : kernel_(simd_kernel(computed_dtype(spec), spec.op, is_scaled(spec))),
      simd_(kernel_ != nullptr),
      prescale_(spec.prescale),
      postscale_(spec.postscale),
      divisor_(divisor_of(spec)),
      element_bytes_(size_of(computed_dtype(spec))),
      parts_(splits(spec) ? 2 : 1) {
  if (!simd_)
    kernel_ = scalar_kernel(computed_dtype(spec), spec.op, is_scaled(spec));
}

void Reducer::to(void* dst, std::span<const void* const> sources, size_t count) const {
  kernel_({{prescale_, postscale_, divisor_}, dst, sources, count * parts_});
}

void Reducer::to_both(
    void* dst,
    void* second,
    std::span<const void* const> sources,
    size_t count,
    StorePolicy policy) const {
  if (simd_) {
    const bool streams = policy == StorePolicy::NonTemporal;
    kernel_({{prescale_, postscale_, divisor_}, dst, sources, count * parts_, second, streams});
    return;
  }
  to(dst, sources, count);
  copy(second, dst, count * parts_ * element_bytes_, policy);
}

}  // namespace farandole::cpu

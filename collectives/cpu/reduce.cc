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

// A complex number is two floats to every operation that works on its parts alone.
struct Plan {
  Kernel kernel = nullptr;
  size_t element = 1;    // bytes of what the kernel counts
  size_t per_count = 1;  // and how many of them stand for one of the caller's elements
};

Kernel pick(DType dtype, ReduceOp op, bool scaled) {
  Kernel kernel = float_kernel(dtype, op, scaled);
  if (kernel == nullptr)
    kernel = half_kernel(dtype, op, scaled);
  if (kernel == nullptr && !scaled)
    kernel = integer_kernel(dtype, op);
  return kernel != nullptr ? kernel : scalar_kernel(dtype, op, scaled);
}

Plan plan_for(const ReduceSpec& spec, bool scaled) {
  if (is_complex(spec.dtype) && spec.op != ReduceOp::Product) {
    const DType part = spec.dtype == DType::Complex64 ? DType::Float32 : DType::Float64;
    return {pick(part, spec.op, scaled), size_of(part), 2};
  }
  return {pick(spec.dtype, spec.op, scaled), size_of(spec.dtype), 1};
}

Scales scales_of(const ReduceSpec& spec) {
  const size_t divisor = spec.op == ReduceOp::Average ? spec.members : 1;
  const bool any = divisor != 1 || spec.prescale != 1.0 || spec.postscale != 1.0;
  return {any, spec.prescale, spec.postscale, divisor};
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
  return spec.dtype != DType::Bool && !scales_of(spec).any;
}

void reduce(
    const ReduceSpec& spec,
    void* dst,
    std::span<const void* const> sources,
    size_t count,
    StorePolicy policy) {
  const Scales scales = scales_of(spec);
  const Plan plan = plan_for(spec, scales.any);
  const size_t total = count * plan.per_count;
  if (policy == StorePolicy::Plain) {
    plan.kernel({scales, dst, sources, 0, total});
    return;
  }
  alignas(64) std::array<char, kPieceBytes> piece;
  const size_t step = kPieceBytes / plan.element;
  for (size_t first = 0; first < total; first += step) {
    const size_t part = std::min(step, total - first);
    plan.kernel({scales, piece.data(), sources, first, part});
    copy(static_cast<char*>(dst) + first * plan.element, piece.data(), part * plan.element, policy);
  }
}

void reduce_into_both(
    const ReduceSpec& spec,
    void* dst,
    void* second,
    std::span<const void* const> sources,
    size_t count,
    StorePolicy policy) {
  const Scales scales = scales_of(spec);
  const Plan plan = plan_for(spec, scales.any);
  const size_t total = count * plan.per_count;
  const size_t step = kPieceBytes / plan.element;
  for (size_t first = 0; first < total; first += step) {
    const size_t part = std::min(step, total - first);
    char* piece = static_cast<char*>(dst) + first * plan.element;
    plan.kernel({scales, piece, sources, first, part});
    copy(static_cast<char*>(second) + first * plan.element, piece, part * plan.element, policy);
  }
}

}  // namespace farandole::cpu

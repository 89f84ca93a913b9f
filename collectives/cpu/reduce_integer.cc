#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "collectives/cpu/reduce_integer.cc"

#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "collectives/cpu/reduce-inl.h"

HWY_BEFORE_NAMESPACE();
namespace farandole::cpu {
namespace HWY_NAMESPACE {

// Vectors have no product of 8 and 64 bits everywhere; the scalar kernels have.
template <typename T>
Kernel pick_typed(ReduceOp op) {
  switch (op) {
    case ReduceOp::Sum:
    case ReduceOp::Average:
      return pick_scale<DirectLane<T>, SumOp>(false);
    case ReduceOp::Min:
      return pick_scale<DirectLane<T>, MinOp>(false);
    case ReduceOp::Max:
      return pick_scale<DirectLane<T>, MaxOp>(false);
    case ReduceOp::Product:
      if constexpr (sizeof(T) == 2 || sizeof(T) == 4)
        return pick_scale<DirectLane<T>, ProductOp>(false);
      break;
    case ReduceOp::Adasum:
      break;
  }
  return nullptr;
}

Kernel pick_integer(DType dtype, ReduceOp op) {
  switch (dtype) {
    case DType::Uint8:
      return pick_typed<uint8_t>(op);
    case DType::Int8:
      return pick_typed<int8_t>(op);
    case DType::Uint16:
      return pick_typed<uint16_t>(op);
    case DType::Int16:
      return pick_typed<int16_t>(op);
    case DType::Int32:
      return pick_typed<int32_t>(op);
    case DType::Int64:
      return pick_typed<int64_t>(op);
    default:
      return nullptr;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace farandole::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace farandole::cpu {

HWY_EXPORT(pick_integer);

Kernel integer_kernel(DType dtype, ReduceOp op) {
  return HWY_DYNAMIC_DISPATCH(pick_integer)(dtype, op);
}

}  // namespace farandole::cpu
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "collectives/cpu/reduce_float.cc"

#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "collectives/cpu/reduce-inl.h"

HWY_BEFORE_NAMESPACE();
namespace farandole::cpu {
namespace HWY_NAMESPACE {

Kernel pick_float(DType dtype, ReduceOp op, bool scaled) {
  if (dtype == DType::Float32)
    return pick_operation<DirectLane<float>>(op, scaled);
#if HWY_HAVE_FLOAT64
  if (dtype == DType::Float64)
    return pick_operation<DirectLane<double>>(op, scaled);
#endif
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace farandole::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace farandole::cpu {

HWY_EXPORT(pick_float);

Kernel float_kernel(DType dtype, ReduceOp op, bool scaled) {
  return HWY_DYNAMIC_DISPATCH(pick_float)(dtype, op, scaled);
}

}  // namespace farandole::cpu
#endif

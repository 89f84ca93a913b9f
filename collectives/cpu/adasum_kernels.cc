#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "collectives/cpu/adasum_kernels.cc"

#include "collectives/cpu/adasum_kernels.h"

#include <cstring>

#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace farandole::cpu {
namespace HWY_NAMESPACE {

// As many sums run beside each other, on every instruction set: which value goes into which one
// must not depend on it.
inline constexpr size_t kSums = 8;
typedef double Sums __attribute__((vector_size(kSums * sizeof(double))));

template <typename T>
void load(const T* from, Sums& to) {
  typedef T Values __attribute__((vector_size(kSums * sizeof(T))));
  Values values;
  std::memcpy(&values, from, sizeof values);
  to = __builtin_convertvector(values, Sums);
}

inline double fold(const Sums& sums) {
  double sum = 0;
  for (size_t i = 0; i < kSums; ++i) sum += sums[i];
  return sum;
}

template <typename T>
Products typed_products(const T* a, const T* b, size_t count) {
  Sums ab = {}, aa = {}, bb = {};
  size_t i = 0;
  for (; i + kSums <= count; i += kSums) {
    Sums x, y;
    load(a + i, x);
    load(b + i, y);
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  Products rest{fold(ab), fold(aa), fold(bb)};
  for (; i < count; ++i) {
    const double x = a[i], y = b[i];
    rest.ab += x * y;
    rest.aa += x * x;
    rest.bb += y * y;
  }
  return rest;
}

template <typename T>
void typed_add_scaled(double of_a, T* HWY_RESTRICT a, double of_b, const T* b, size_t count) {
  for (size_t i = 0; i < count; ++i)
    a[i] = static_cast<T>(of_a * static_cast<double>(a[i]) + of_b * static_cast<double>(b[i]));
}

Products any_products(DType dtype, const void* a, const void* b, size_t count) {
  if (dtype == DType::Float32)
    return typed_products(static_cast<const float*>(a), static_cast<const float*>(b), count);
  return typed_products(static_cast<const double*>(a), static_cast<const double*>(b), count);
}

void any_add_scaled(DType dtype, double of_a, void* a, double of_b, const void* b, size_t count) {
  if (dtype == DType::Float32)
    return typed_add_scaled(
        of_a, static_cast<float*>(a), of_b, static_cast<const float*>(b), count);
  typed_add_scaled(of_a, static_cast<double*>(a), of_b, static_cast<const double*>(b), count);
}

}  // namespace HWY_NAMESPACE
}  // namespace farandole::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace farandole::cpu {

HWY_EXPORT(any_products);
HWY_EXPORT(any_add_scaled);

Products products(DType dtype, const void* a, const void* b, size_t count) {
  return HWY_DYNAMIC_DISPATCH(any_products)(dtype, a, b, count);
}

void add_scaled(DType dtype, double of_a, void* a, double of_b, const void* b, size_t count) {
  HWY_DYNAMIC_DISPATCH(any_add_scaled)(dtype, of_a, a, of_b, b, count);
}

}  // namespace farandole::cpu
#endif

// Kernels that need no vectors of their own: scaled and averaged integers, bool, complex products
// and what an instruction set lacks. Memory is read and written through memcpy: it may be
// misaligned.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>

#include "collectives/cpu/reduce_kernels.h"

namespace farandole::cpu {
namespace {

template <typename T>
T load(const void* base, size_t index) {
  T value;
  std::memcpy(&value, static_cast<const char*>(base) + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
void store(void* base, size_t index, T value) {
  std::memcpy(static_cast<char*>(base) + index * sizeof(T), &value, sizeof(T));
}

// Wrapping arithmetic goes through uint64_t: no overflow of signed types, no promotion of short
// ones to int.
struct Sum {
  template <typename T>
  static T apply(T a, T b) {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
    else
      return a + b;
  }
};
struct Product {
  template <typename T>
  static T apply(T a, T b) {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
    else
      return a * b;
  }
};
struct Min {
  template <typename T>
  static T apply(T a, T b) {
    return b < a || (b != b && a == a) ? b : a;
  }
};
struct Max {
  template <typename T>
  static T apply(T a, T b) {
    return a < b || (b != b && a == a) ? b : a;
  }
};

// scale * value in double, truncated and saturated. The bounds are compared as doubles that are
// exact powers of two, because the largest int64 is none.
template <typename T>
T scaled(T value, double scale) {
  if constexpr (!std::is_integral_v<T>) {
    return value * static_cast<T>(scale);
  } else {
    if (scale == 1.0)
      return value;
    const double product = std::trunc(static_cast<double>(value) * scale);
    if (std::isnan(product))
      return 0;
    if (product >= std::ldexp(1.0, std::numeric_limits<T>::digits))
      return std::numeric_limits<T>::max();
    if (product <= static_cast<double>(std::numeric_limits<T>::min()))
      return std::numeric_limits<T>::min();
    return static_cast<T>(product);
  }
}

template <typename T, class Op, bool kScaled>
void real_kernel(const Work& work) {
  const Scales& s = work.scales;
  for (size_t i = 0; i < work.count; ++i) {
    auto source = [&](size_t k) {
      const T value = load<T>(work.sources[k], i);
      return kScaled ? scaled(value, s.prescale) : value;
    };
    T result = source(0);
    for (size_t k = 1; k < work.sources.size(); ++k) result = Op::apply(result, source(k));
    if constexpr (!std::is_integral_v<T>) {
      if (kScaled && s.divisor > 1)
        result /= static_cast<T>(s.divisor);
    }
    store(work.dst, i, kScaled ? scaled(result, s.postscale) : result);
  }
}

__extension__ using Int128 = __int128;

// `Wide` may be too small for the sum: nullopt then.
template <typename T, typename Wide>
std::optional<T> average_in(const Work& work, size_t i) {
  Wide sum = 0;
  bool fits = true;
  for (const void* source : work.sources) {
    const T value = scaled(load<T>(source, i), work.scales.prescale);
    fits = !__builtin_add_overflow(sum, static_cast<Wide>(value), &sum) && fits;
  }
  if (!fits)
    return std::nullopt;
  return static_cast<T>(sum / static_cast<Wide>(work.scales.divisor));
}

// 64 bits hold the sum of as many smaller values as there can be sources, and most sums of int64;
// a division of 128 bits costs several times as much.
template <typename T>
void integer_average_kernel(const Work& work) {
  for (size_t i = 0; i < work.count; ++i) {
    std::optional<T> average = average_in<T, int64_t>(work, i);
    if (!average)
      average = average_in<T, Int128>(work, i);
    store(work.dst, i, scaled(*average, work.scales.postscale));
  }
}

template <bool kAny>
void bool_kernel(const Work& work) {
  for (size_t i = 0; i < work.count; ++i) {
    bool result = !kAny;
    for (const void* source : work.sources) {
      const bool value = load<uint8_t>(source, i) != 0;
      result = kAny ? result || value : result && value;
    }
    store<uint8_t>(work.dst, i, result ? 1 : 0);
  }
}

template <typename T>
struct Complex {
  T real, imaginary;
};

template <typename T>
void complex_product_kernel(const Work& work) {
  using C = Complex<T>;
  const T before = static_cast<T>(work.scales.prescale);
  const T after = static_cast<T>(work.scales.postscale);
  for (size_t i = 0; i < work.count; ++i) {
    C p = load<C>(work.sources[0], i);
    p = {p.real * before, p.imaginary * before};
    for (size_t k = 1; k < work.sources.size(); ++k) {
      C x = load<C>(work.sources[k], i);
      x = {x.real * before, x.imaginary * before};
      p = {
          p.real * x.real - p.imaginary * x.imaginary, p.real * x.imaginary + p.imaginary * x.real};
    }
    store(work.dst, i, C{p.real * after, p.imaginary * after});
  }
}

template <typename T>
Kernel pick_real(ReduceOp op, bool scaled) {
  switch (op) {
    case ReduceOp::Average:
      if constexpr (std::is_integral_v<T>)
        return &integer_average_kernel<T>;
      [[fallthrough]];
    case ReduceOp::Sum:
      return scaled ? &real_kernel<T, Sum, true> : &real_kernel<T, Sum, false>;
    case ReduceOp::Min:
      return scaled ? &real_kernel<T, Min, true> : &real_kernel<T, Min, false>;
    case ReduceOp::Max:
      return scaled ? &real_kernel<T, Max, true> : &real_kernel<T, Max, false>;
    case ReduceOp::Product:
      return scaled ? &real_kernel<T, Product, true> : &real_kernel<T, Product, false>;
    case ReduceOp::Adasum:
      break;
  }
  return nullptr;
}

}  // namespace

Kernel scalar_kernel(DType dtype, ReduceOp op, bool scaled) {
  switch (dtype) {
    case DType::Uint8:
      return pick_real<uint8_t>(op, scaled);
    case DType::Int8:
      return pick_real<int8_t>(op, scaled);
    case DType::Uint16:
      return pick_real<uint16_t>(op, scaled);
    case DType::Int16:
      return pick_real<int16_t>(op, scaled);
    case DType::Int32:
      return pick_real<int32_t>(op, scaled);
    case DType::Int64:
      return pick_real<int64_t>(op, scaled);
    case DType::Float64:
      return pick_real<double>(op, scaled);
    case DType::Bool:
      return op == ReduceOp::Sum || op == ReduceOp::Max ? &bool_kernel<true> : &bool_kernel<false>;
    case DType::Complex64:
      return op == ReduceOp::Product ? &complex_product_kernel<float> : nullptr;
    case DType::Complex128:
      return op == ReduceOp::Product ? &complex_product_kernel<double> : nullptr;
    case DType::Float16:
    case DType::Bfloat16:
    case DType::Float32:
      return nullptr;
  }
  return nullptr;
}

}  // namespace farandole::cpu

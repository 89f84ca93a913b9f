#include "tests/support/arithmetic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <random>

#include "core/base/format.h"

namespace farandole::testing {
namespace {

template <typename T>
T at(const void* base, size_t index) {
  T value;
  std::memcpy(&value, static_cast<const uint8_t*>(base) + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
void put(Bytes& bytes, size_t index, T value) {
  std::memcpy(bytes.data() + index * sizeof(T), &value, sizeof(T));
}

template <typename T>
void fill_integers(Bytes& bytes, size_t count, std::mt19937_64& random) {
  for (size_t i = 0; i < count; ++i) put<T>(bytes, i, static_cast<T>(random() >> (random() % 64)));
}

double real_value(ReduceOp op, std::mt19937_64& random) {
  const double unit = static_cast<double>(random() >> 11) * 0x1p-53;
  return op == ReduceOp::Product ? 0.75 + unit / 2 : unit * 4 - 2;
}

// What distinguishes the float types here: how an element is read, and its precision.
using ComplexValue = std::complex<double>;

ComplexValue read_value(DType dtype, const void* base, size_t i) {
  switch (dtype) {
    case DType::Float16:
    case DType::Bfloat16:
      return decode_half(dtype, at<uint16_t>(base, i));
    case DType::Float32:
      return at<float>(base, i);
    case DType::Float64:
      return at<double>(base, i);
    case DType::Complex64:
      return {at<float>(base, 2 * i), at<float>(base, 2 * i + 1)};
    default:
      return {at<double>(base, 2 * i), at<double>(base, 2 * i + 1)};
  }
}

double precision(DType dtype) {
  switch (dtype) {
    case DType::Float16:
      return 0x1p-10;
    case DType::Bfloat16:
      return 0x1p-7;
    case DType::Float32:
    case DType::Complex64:
      return 0x1p-23;
    default:
      return 0x1p-52;
  }
}

std::optional<std::string> float_difference(
    const Reduction& r,
    const std::vector<Bytes>& sources,
    size_t offset,
    const void* result,
    size_t count) {
  const double n = static_cast<double>(sources.size());
  for (size_t i = 0; i < count; ++i) {
    ComplexValue sum = r.prescale * read_value(r.dtype, sources[0].data(), offset + i);
    double magnitude = std::abs(sum);
    for (size_t k = 1; k < sources.size(); ++k) {
      const ComplexValue x = r.prescale * read_value(r.dtype, sources[k].data(), offset + i);
      if (r.op == ReduceOp::Product) {
        sum *= x;
        magnitude *= std::abs(x);
        continue;
      }
      magnitude += std::abs(x);
      if (r.op == ReduceOp::Min)
        sum = std::min(sum.real(), x.real());
      else if (r.op == ReduceOp::Max)
        sum = std::max(sum.real(), x.real());
      else
        sum += x;
    }
    const double after = r.postscale / (r.op == ReduceOp::Average ? n : 1);
    const ComplexValue want = sum * after;
    const ComplexValue got = read_value(r.dtype, result, i);
    const double allowed = precision(r.dtype) * (n + 3) * magnitude * std::abs(after) + 1e-300;
    if (!(std::abs(got - want) <= allowed))
      return fmt::format(
          "element {}: got {}{:+}i, want {}{:+}i within {}",
          i,
          got.real(),
          got.imag(),
          want.real(),
          want.imag(),
          allowed);
  }
  return std::nullopt;
}

template <typename T>
T scale_integer(T value, double scale) {
  if (scale == 1)
    return value;
  const long double product =
      std::trunc(static_cast<long double>(static_cast<double>(value) * scale));
  const long double low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
  return static_cast<T>(std::clamp(product, low, high));
}

// The exact average, cut towards zero. Even 2^63 members of 64 bits do not overflow 128.
template <typename T>
T integer_average(const Reduction& r, const std::vector<Bytes>& sources, size_t index) {
  __int128 sum = 0;
  for (const Bytes& source : sources) sum += scale_integer(at<T>(source.data(), index), r.prescale);
  return static_cast<T>(sum / static_cast<__int128>(sources.size()));
}

// Sums and products in 128 bits, cut to the type: wrapping.
template <typename T>
std::optional<std::string> integer_difference(
    const Reduction& r,
    const std::vector<Bytes>& sources,
    size_t offset,
    const void* result,
    size_t count) {
  for (size_t i = 0; i < count; ++i) {
    T value = scale_integer(at<T>(sources[0].data(), offset + i), r.prescale);
    for (size_t k = 1; k < sources.size(); ++k) {
      const T x = scale_integer(at<T>(sources[k].data(), offset + i), r.prescale);
      const __int128 a = value, b = x;
      switch (r.op) {
        case ReduceOp::Average:
        case ReduceOp::Adasum:
          break;
        case ReduceOp::Sum:
          value = static_cast<T>(a + b);
          break;
        case ReduceOp::Product:
          value = static_cast<T>(a * b);
          break;
        case ReduceOp::Min:
          value = std::min(value, x);
          break;
        case ReduceOp::Max:
          value = std::max(value, x);
          break;
      }
    }
    if (r.op == ReduceOp::Average)
      value = integer_average<T>(r, sources, offset + i);
    value = scale_integer(value, r.postscale);
    const T got = at<T>(result, i);
    if (got != value)
      return fmt::format(
          "element {}: got {}, want {}", i, static_cast<int64_t>(got), static_cast<int64_t>(value));
  }
  return std::nullopt;
}

std::optional<std::string> bool_difference(
    const Reduction& r,
    const std::vector<Bytes>& sources,
    size_t offset,
    const void* result,
    size_t count) {
  const bool any = r.op == ReduceOp::Sum || r.op == ReduceOp::Max;
  for (size_t i = 0; i < count; ++i) {
    const auto is_set = [&](const Bytes& s) { return s[offset + i] != 0; };
    const bool want = any ? std::any_of(sources.begin(), sources.end(), is_set)
                          : std::all_of(sources.begin(), sources.end(), is_set);
    const uint8_t got = at<uint8_t>(result, i);
    if (got != (want ? 1 : 0))
      return fmt::format("element {}: got {}, want {}", i, got, want);
  }
  return std::nullopt;
}

double worked_out(DType dtype, uint16_t bits) {
  const int mantissa_bits = dtype == DType::Float16 ? 10 : 7;
  const int bias = dtype == DType::Float16 ? 15 : 127;
  const int exponent = (bits & 0x7fff) >> mantissa_bits;
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == 2 * bias + 1)
    return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN()
                         : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0)
    return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

// Every value that a half type has, by its bits.
std::vector<double> all_halves(DType dtype) {
  std::vector<double> values(size_t{1} << 16);
  for (size_t bits = 0; bits < values.size(); ++bits)
    values[bits] = worked_out(dtype, static_cast<uint16_t>(bits));
  return values;
}

}  // namespace

double decode_half(DType dtype, uint16_t bits) {
  static const std::vector<double> float16 = all_halves(DType::Float16);
  static const std::vector<double> bfloat16 = all_halves(DType::Bfloat16);
  return (dtype == DType::Float16 ? float16 : bfloat16)[bits];
}

uint16_t encode_half(DType dtype, double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::abs(value);
  const uint16_t infinity = dtype == DType::Float16 ? 0x7c00 : 0x7f80;
  if (std::isnan(value))
    return static_cast<uint16_t>(sign | infinity | 1);
  // The non-negative ones are ordered like their bits; infinity stands where the next finite one
  // would, which is how rounding sees it.
  const double beyond = dtype == DType::Float16 ? 0x1p16 : 0x1p128;
  const auto decoded = [&](uint16_t bits) {
    return bits == infinity ? beyond : decode_half(dtype, bits);
  };
  uint16_t low = 0, high = infinity;
  while (high - low > 1) {
    const auto middle = static_cast<uint16_t>((low + high) / 2);
    (decoded(middle) <= magnitude ? low : high) = middle;
  }
  const double down = magnitude - decoded(low), up = decoded(high) - magnitude;
  const bool take_low = down < up || (down == up && low % 2 == 0);
  return static_cast<uint16_t>(sign | (take_low ? low : high));
}

Bytes make_values(DType dtype, ReduceOp op, size_t count, uint64_t seed) {
  Bytes bytes(count * size_of(dtype));
  std::mt19937_64 random(seed * 1000003 + static_cast<uint64_t>(dtype));
  switch (dtype) {
    case DType::Uint8:
    case DType::Int8:
      fill_integers<uint8_t>(bytes, count, random);
      break;
    case DType::Uint16:
    case DType::Int16:
      fill_integers<uint16_t>(bytes, count, random);
      break;
    case DType::Int32:
      fill_integers<uint32_t>(bytes, count, random);
      break;
    case DType::Int64:
      fill_integers<uint64_t>(bytes, count, random);
      break;
    case DType::Bool:
      for (uint8_t& b : bytes) b = static_cast<uint8_t>(random() & 1);
      break;
    case DType::Float16:
    case DType::Bfloat16:
      for (size_t i = 0; i < count; ++i)
        put<uint16_t>(bytes, i, encode_half(dtype, real_value(op, random)));
      break;
    case DType::Float32:
    case DType::Complex64:
      for (size_t i = 0; i < bytes.size() / 4; ++i)
        put<float>(bytes, i, static_cast<float>(real_value(op, random)));
      break;
    case DType::Float64:
    case DType::Complex128:
      for (size_t i = 0; i < bytes.size() / 8; ++i) put<double>(bytes, i, real_value(op, random));
      break;
  }
  return bytes;
}

std::optional<std::string> difference(
    const Reduction& r,
    const std::vector<Bytes>& sources,
    size_t offset,
    const void* result,
    size_t count) {
  switch (r.dtype) {
    case DType::Uint8:
      return integer_difference<uint8_t>(r, sources, offset, result, count);
    case DType::Int8:
      return integer_difference<int8_t>(r, sources, offset, result, count);
    case DType::Uint16:
      return integer_difference<uint16_t>(r, sources, offset, result, count);
    case DType::Int16:
      return integer_difference<int16_t>(r, sources, offset, result, count);
    case DType::Int32:
      return integer_difference<int32_t>(r, sources, offset, result, count);
    case DType::Int64:
      return integer_difference<int64_t>(r, sources, offset, result, count);
    case DType::Bool:
      return bool_difference(r, sources, offset, result, count);
    default:
      return float_difference(r, sources, offset, result, count);
  }
}

}  // namespace farandole::testing

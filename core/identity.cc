#include "core/identity.h"

#include <complex>
#include <cstdint>
#include <cstring>
#include <limits>

namespace farandole {
namespace {

// What the value itself is, whatever it is written in.
enum class Kind : uint8_t { Zero, NegativeZero, One, Lowest, Highest };

Kind end_of(ReduceOp op, double prescale) {
  if (prescale == 0.0)
    return Kind::Zero;
  return (op == ReduceOp::Min) == (prescale > 0.0) ? Kind::Highest : Kind::Lowest;
}

Kind kind_of(ReduceOp op, double prescale) {
  switch (op) {
    case ReduceOp::Sum:
    case ReduceOp::Average:
    case ReduceOp::Adasum:
      return prescale < 0.0 ? Kind::Zero : Kind::NegativeZero;
    case ReduceOp::Product:
      return Kind::One;
    case ReduceOp::Min:
    case ReduceOp::Max:
      return end_of(op, prescale);
  }
  return Kind::Zero;
}

template <typename T>
T integer(Kind kind) {
  switch (kind) {
    case Kind::One:
      return 1;
    case Kind::Lowest:
      return std::numeric_limits<T>::lowest();
    case Kind::Highest:
      return std::numeric_limits<T>::max();
    default:
      return 0;
  }
}

template <typename T>
T floating(Kind kind) {
  switch (kind) {
    case Kind::NegativeZero:
      return T(-0.0);
    case Kind::One:
      return 1;
    case Kind::Lowest:
      return -std::numeric_limits<T>::infinity();
    case Kind::Highest:
      return std::numeric_limits<T>::infinity();
    default:
      return 0;
  }
}

// Bits of a half type, whose one and infinity are given.
uint16_t half(Kind kind, uint16_t one, uint16_t infinity) {
  constexpr uint16_t kSign = 0x8000;
  switch (kind) {
    case Kind::NegativeZero:
      return kSign;
    case Kind::One:
      return one;
    case Kind::Lowest:
      return static_cast<uint16_t>(infinity | kSign);
    case Kind::Highest:
      return infinity;
    default:
      return 0;
  }
}

template <typename T>
Element element(T value) {
  static_assert(sizeof(T) <= kMostElementBytes);
  Element out{};
  std::memcpy(out.data(), &value, sizeof value);
  return out;
}

template <typename T>
Element complex(Kind kind) {
  const T imaginary = kind == Kind::One ? T(0) : floating<T>(kind);
  return element(std::complex<T>(floating<T>(kind), imaginary));
}

// Sum and Max are "or", Product and Min "and".
uint8_t boolean(ReduceOp op) {
  return op == ReduceOp::Product || op == ReduceOp::Min ? 1 : 0;
}

}  // namespace

Element identity_element(ReduceOp op, DType dtype, double prescale) noexcept {
  const Kind kind = kind_of(op, prescale);
  switch (dtype) {
    case DType::Uint8:
      return element(integer<uint8_t>(kind));
    case DType::Int8:
      return element(integer<int8_t>(kind));
    case DType::Uint16:
      return element(integer<uint16_t>(kind));
    case DType::Int16:
      return element(integer<int16_t>(kind));
    case DType::Int32:
      return element(integer<int32_t>(kind));
    case DType::Int64:
      return element(integer<int64_t>(kind));
    case DType::Float16:
      return element(half(kind, 0x3C00, 0x7C00));
    case DType::Bfloat16:
      return element(half(kind, 0x3F80, 0x7F80));
    case DType::Float32:
      return element(floating<float>(kind));
    case DType::Float64:
      return element(floating<double>(kind));
    case DType::Bool:
      return element(boolean(op));
    case DType::Complex64:
      return complex<float>(kind);
    case DType::Complex128:
      return complex<double>(kind);
  }
  return {};
}

}  // namespace farandole

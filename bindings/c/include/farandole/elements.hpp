// elements.hpp: errors as exceptions, and element types instead of dtypes. A part of farandole.hpp.
#pragma once

#include <farandole/farandole.h>

#include <complex>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace fdl {

// ---- Errors -------------------------------------------------------------------------------------

class Error : public std::runtime_error {
 public:
  Error(fdl_code code, const std::string& text, int rank)
      : std::runtime_error(text), code_(code), rank_(rank) {}
  fdl_code code() const noexcept { return code_; }
  // The rank that caused it, or -1.
  int rank() const noexcept { return rank_; }

 private:
  fdl_code code_;
  int rank_;
};

// One class per code, so that callers catch what they can act upon.
template <fdl_code Which>
class ErrorOf : public Error {
 public:
  ErrorOf(const std::string& text, int rank) : Error(Which, text, rank) {}
};
using InvalidArgument = ErrorOf<FDL_INVALID_ARGUMENT>;
using Mismatch = ErrorOf<FDL_MISMATCH>;
using PeerLost = ErrorOf<FDL_PEER_LOST>;
using Timeout = ErrorOf<FDL_TIMEOUT>;
using Aborted = ErrorOf<FDL_ABORTED>;
using Unsupported = ErrorOf<FDL_UNSUPPORTED>;
using SystemError = ErrorOf<FDL_SYSTEM>;
using InternalError = ErrorOf<FDL_INTERNAL>;

// Throws what `code` and this thread's last error say; returns where it is FDL_OK.
inline void check(fdl_code code) {
  if (code == FDL_OK)
    return;
  const std::string text = fdl_last_error();
  const int rank = fdl_last_error_rank();
  switch (code) {
    case FDL_INVALID_ARGUMENT:
      throw InvalidArgument(text, rank);
    case FDL_MISMATCH:
      throw Mismatch(text, rank);
    case FDL_PEER_LOST:
      throw PeerLost(text, rank);
    case FDL_TIMEOUT:
      throw Timeout(text, rank);
    case FDL_ABORTED:
      throw Aborted(text, rank);
    case FDL_UNSUPPORTED:
      throw Unsupported(text, rank);
    case FDL_SYSTEM:
      throw SystemError(text, rank);
    default:
      throw InternalError(text, rank);
  }
}

// ---- Elements -----------------------------------------------------------------------------------

// The dtype of an element type. Half types have none in C++17: submit() takes them by fdl_dtype.
template <typename T>
struct DTypeOf;
#define FDL_DTYPE_OF(type, dtype)               \
  template <>                                   \
  struct DTypeOf<type> {                        \
    static constexpr fdl_dtype value = (dtype); \
  }
FDL_DTYPE_OF(uint8_t, FDL_UINT8);
FDL_DTYPE_OF(int8_t, FDL_INT8);
FDL_DTYPE_OF(uint16_t, FDL_UINT16);
FDL_DTYPE_OF(int16_t, FDL_INT16);
FDL_DTYPE_OF(int32_t, FDL_INT32);
FDL_DTYPE_OF(int64_t, FDL_INT64);
FDL_DTYPE_OF(float, FDL_FLOAT32);
FDL_DTYPE_OF(double, FDL_FLOAT64);
FDL_DTYPE_OF(bool, FDL_BOOL);
FDL_DTYPE_OF(std::complex<float>, FDL_COMPLEX64);
FDL_DTYPE_OF(std::complex<double>, FDL_COMPLEX128);
#undef FDL_DTYPE_OF

// "float32", or "dtype 77" for a value that is none.
inline std::string dtype_name(fdl_dtype dtype) {
  static constexpr const char* kNames[] = {
      "uint8",
      "int8",
      "uint16",
      "int16",
      "int32",
      "int64",
      "float16",
      "bfloat16",
      "float32",
      "float64",
      "bool",
      "complex64",
      "complex128"};
  const auto index = static_cast<size_t>(dtype);
  return index < sizeof kNames / sizeof *kNames ? kNames[index] : "dtype " + std::to_string(dtype);
}

// Borrowed contiguous elements.
template <typename T>
class Span {
 public:
  Span() = default;
  Span(T* data, size_t size) : data_(data), size_(size) {}
  template <typename Container, typename = decltype(std::declval<Container&>().data())>
  Span(Container& container) : data_(container.data()), size_(container.size()) {}  // NOLINT
  T* data() const noexcept { return data_; }
  size_t size() const noexcept { return size_; }
  T& operator[](size_t i) const { return data_[i]; }
  T* begin() const noexcept { return data_; }
  T* end() const noexcept { return data_ + size_; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace fdl

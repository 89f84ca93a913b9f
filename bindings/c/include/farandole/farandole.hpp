// farandole.hpp: farandole.h for C++17: owners instead of pointers, exceptions instead of codes,
// element types instead of dtypes. Header-only; everything said in farandole.h holds.
//
//   fdl::Session session;
//   std::vector<float> gradient = …;
//   session.allreduce<float>(gradient, gradient, FDL_AVERAGE, "gradient");
//
// The element type is always given, as here: it cannot be deduced from what makes a Span.
#pragma once

#include <farandole/farandole.h>

#include <complex>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

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

// ---- Operations ---------------------------------------------------------------------------------

// An operation in flight, or its result. Because the operation borrows the caller's memory, the
// destructor waits for it, and as fdl_wait without a deadline of its own: as long as another rank
// lives and does not submit. wait_for() and detach() before it are the way out. Movable.
class Handle {
 public:
  Handle() = default;
  explicit Handle(fdl_handle* handle) noexcept : handle_(handle) {}
  Handle(Handle&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (handle_)
      fdl_wait(handle_, -1);
    detach();
  }

  // Throws how the operation failed.
  void wait() { check(fdl_wait(handle_, -1)); }
  // False where `seconds` passed before it settled.
  bool wait_for(double seconds) {
    const fdl_code code = fdl_wait(handle_, seconds < 0 ? 0 : seconds);
    if (code != FDL_PENDING)
      check(code);
    return code != FDL_PENDING;
  }
  bool settled() const {
    int settled = 0;
    check(fdl_poll(handle_, &settled));
    return settled != 0;
  }
  void on_done(fdl_callback callback, void* user) { check(fdl_on_done(handle_, callback, user)); }
  // The operation goes on and borrows its memory until it settles.
  void detach() noexcept { fdl_release(std::exchange(handle_, nullptr)); }

  // Waits, then shows the result, which lives as long as this handle (or the caller's `out`).
  fdl_result result() {
    wait();
    fdl_result result = FDL_RESULT_INIT;
    check(fdl_get_result(handle_, &result));
    return result;
  }
  template <typename T>
  Span<T> elements() {
    const fdl_result found = result();
    if (found.dtype != DTypeOf<T>::value)
      throw InvalidArgument(
          "elements<T>(): the result has dtype " + dtype_name(found.dtype) + ", T is " +
              dtype_name(DTypeOf<T>::value),
          -1);
    return {static_cast<T*>(found.data), found.bytes / sizeof(T)};
  }
  std::vector<int64_t> shape() {
    const fdl_result found = result();
    return {found.shape, found.shape + found.ndim};
  }
  // alltoall: rows received from each rank.
  std::vector<int64_t> splits() {
    const fdl_result found = result();
    return {found.splits, found.splits + found.split_count};
  }
  fdl_handle* get() const noexcept { return handle_; }

 private:
  fdl_handle* handle_ = nullptr;
};

// ---- Sessions -----------------------------------------------------------------------------------

using Settings = std::vector<std::pair<std::string, std::string>>;

// One rank's membership in one job; leaves it when destroyed.
class Session {
 public:
  // Settings go before the environment: Session({{"start_timeout", "60"}}).
  explicit Session(const Settings& settings = {}, bool ignore_environment = false) {
    std::vector<fdl_setting> given;
    given.reserve(settings.size());
    for (const auto& [key, value] : settings) given.push_back({key.c_str(), value.c_str()});
    fdl_options options = FDL_OPTIONS_INIT;
    options.settings = given.data();
    options.setting_count = given.size();
    options.ignore_environment = ignore_environment ? 1 : 0;
    check(fdl_init(&options, &session_));
  }
  explicit Session(
      std::initializer_list<Settings::value_type> settings, bool ignore_environment = false)
      : Session(Settings(settings), ignore_environment) {}
  Session(Session&& other) noexcept : session_(std::exchange(other.session_, nullptr)) {}
  Session& operator=(Session&& other) noexcept {
    std::swap(session_, other.session_);
    return *this;
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { fdl_destroy(session_); }

  void shutdown() { check(fdl_shutdown(session_)); }
  // What ranks that still need this one are told instead of "shutdown".
  void shutdown(const std::string& cause) { check(fdl_shutdown_because(session_, cause.c_str())); }
  void check_health() const { check(fdl_health(session_)); }
  fdl_topology topology() const {
    fdl_topology topology = {sizeof(fdl_topology), 0, 0, 0, 0, 0, 0, 0};
    check(fdl_get_topology(session_, &topology));
    return topology;
  }
  int rank() const { return topology().rank; }
  int size() const { return topology().size; }
  // Also after shutdown().
  fdl_counters counters() const {
    fdl_counters counters = FDL_COUNTERS_INIT;
    check(fdl_get_counters(session_, &counters));
    return counters;
  }
  fdl_session* get() const noexcept { return session_; }

  Handle submit(const fdl_request& request) {
    fdl_handle* handle = nullptr;
    check(fdl_submit(session_, &request, 1, &handle));
    return Handle(handle);
  }

  template <typename T>
  Handle allreduce_async(
      Span<const T> in, Span<T> out, fdl_reduce_op op = FDL_SUM, const char* name = nullptr) {
    same_size(in.size(), out.size());
    fdl_handle* handle = nullptr;
    check(fdl_allreduce_async(
        session_, name, in.data(), out.data(), count(in), DTypeOf<T>::value, op, &handle));
    return Handle(handle);
  }
  template <typename T>
  void allreduce(
      Span<const T> in, Span<T> out, fdl_reduce_op op = FDL_SUM, const char* name = nullptr) {
    allreduce_async<T>(in, out, op, name).wait();
  }

  template <typename T>
  Handle broadcast_async(Span<T> data, int root = 0, const char* name = nullptr) {
    fdl_handle* handle = nullptr;
    check(fdl_broadcast_async(
        session_, name, data.data(), count(data), DTypeOf<T>::value, root, &handle));
    return Handle(handle);
  }
  template <typename T>
  void broadcast(Span<T> data, int root = 0, const char* name = nullptr) {
    broadcast_async<T>(data, root, name).wait();
  }

  // `row` elements make a row; the result is the handle's elements<T>().
  template <typename T>
  Handle allgather_async(Span<const T> in, size_t row = 1, const char* name = nullptr) {
    fdl_handle* handle = nullptr;
    check(fdl_allgather_async(
        session_,
        name,
        in.data(),
        rows(in, row),
        static_cast<int64_t>(row),
        DTypeOf<T>::value,
        &handle));
    return Handle(handle);
  }
  template <typename T>
  std::vector<T> allgather(Span<const T> in, size_t row = 1, const char* name = nullptr) {
    Handle handle = allgather_async<T>(in, row, name);
    const Span<T> all = handle.elements<T>();
    return {all.begin(), all.end()};
  }

  // splits: rows for each rank, or empty for equal parts.
  template <typename T>
  Handle alltoall_async(
      Span<const T> in,
      const std::vector<int64_t>& splits = {},
      size_t row = 1,
      const char* name = nullptr) {
    const int64_t shape[2] = {rows(in, row), static_cast<int64_t>(row)};
    fdl_request request = FDL_REQUEST_INIT;
    request.kind = FDL_ALLTOALL;
    request.dtype = DTypeOf<T>::value;
    request.name = name;
    request.shape = shape;
    request.ndim = 2;
    request.in = in.data();
    request.splits = splits.data();
    request.split_count = splits.size();
    return submit(request);
  }
  template <typename T>
  std::vector<T> alltoall(
      Span<const T> in,
      const std::vector<int64_t>& splits = {},
      size_t row = 1,
      const char* name = nullptr) {
    Handle handle = alltoall_async<T>(in, splits, row, name);
    const Span<T> received = handle.elements<T>();
    return {received.begin(), received.end()};
  }

  // The result is the handle's elements<T>().
  template <typename T>
  Handle reducescatter_async(
      Span<const T> in, fdl_reduce_op op = FDL_SUM, size_t row = 1, const char* name = nullptr) {
    fdl_handle* handle = nullptr;
    check(fdl_reducescatter_async(
        session_,
        name,
        in.data(),
        nullptr,
        rows(in, row),
        static_cast<int64_t>(row),
        DTypeOf<T>::value,
        op,
        &handle));
    return Handle(handle);
  }
  template <typename T>
  std::vector<T> reducescatter(
      Span<const T> in, fdl_reduce_op op = FDL_SUM, size_t row = 1, const char* name = nullptr) {
    Handle handle = reducescatter_async<T>(in, op, row, name);
    const Span<T> part = handle.elements<T>();
    return {part.begin(), part.end()};
  }

  void barrier() { check(fdl_barrier(session_)); }

 private:
  template <typename T>
  static int64_t count(Span<T> data) {
    return static_cast<int64_t>(data.size());
  }
  template <typename T>
  static int64_t rows(Span<T> data, size_t row) {
    if (row == 0 || data.size() % row != 0)
      throw InvalidArgument(
          std::to_string(data.size()) + " elements are not whole rows of " + std::to_string(row),
          -1);
    return static_cast<int64_t>(data.size() / row);
  }
  static void same_size(size_t in, size_t out) {
    if (in != out)
      throw InvalidArgument(
          "in has " + std::to_string(in) + " elements, out has " + std::to_string(out), -1);
  }

  fdl_session* session_ = nullptr;
};

}  // namespace fdl

// operations.hpp: operations in flight, and what can be submitted. A part of farandole.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <farandole/elements.hpp>

namespace fdl {

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
  // join: the rank that joined last.
  int64_t value() { return result().value; }
  fdl_handle* get() const noexcept { return handle_; }

 private:
  fdl_handle* handle_ = nullptr;
};

// The collectives of one process set: those of a Session run among all ranks, those of a ProcessSet
// among its own.
class Operations {
 public:
  template <typename T>
  Handle allreduce_async(
      Span<const T> in, Span<T> out, fdl_reduce_op op = FDL_SUM, const char* name = nullptr) {
    if (in.size() != out.size())
      refuse(
          FDL_ALLREDUCE,
          name,
          "in has " + std::to_string(in.size()) + " elements, out has " +
              std::to_string(out.size()));
    const auto count = static_cast<int64_t>(in.size());
    fdl_request request = request_of<T>(FDL_ALLREDUCE, name, &count, 1);
    request.in = in.data();
    request.out = out.data();
    request.reduce_op = op;
    return submit(request);
  }
  template <typename T>
  void allreduce(
      Span<const T> in, Span<T> out, fdl_reduce_op op = FDL_SUM, const char* name = nullptr) {
    allreduce_async<T>(in, out, op, name).wait();
  }

  // root: a rank of the job.
  template <typename T>
  Handle broadcast_async(Span<T> data, int root = 0, const char* name = nullptr) {
    const auto count = static_cast<int64_t>(data.size());
    fdl_request request = request_of<T>(FDL_BROADCAST, name, &count, 1);
    request.in = data.data();
    request.out = data.data();
    request.root = root;
    return submit(request);
  }
  template <typename T>
  void broadcast(Span<T> data, int root = 0, const char* name = nullptr) {
    broadcast_async<T>(data, root, name).wait();
  }

  // `row` elements make a row; the result is the handle's elements<T>().
  template <typename T>
  Handle allgather_async(Span<const T> in, size_t row = 1, const char* name = nullptr) {
    const Shape shape = rows_of(FDL_ALLGATHER, in.size(), row, name);
    fdl_request request = request_of<T>(FDL_ALLGATHER, name, shape.extents, 2);
    request.in = in.data();
    return submit(request);
  }
  template <typename T>
  std::vector<T> allgather(Span<const T> in, size_t row = 1, const char* name = nullptr) {
    return all_of<T>(allgather_async<T>(in, row, name));
  }

  // splits: rows for each rank, or empty for equal parts.
  template <typename T>
  Handle alltoall_async(
      Span<const T> in,
      const std::vector<int64_t>& splits = {},
      size_t row = 1,
      const char* name = nullptr) {
    const Shape shape = rows_of(FDL_ALLTOALL, in.size(), row, name);
    fdl_request request = request_of<T>(FDL_ALLTOALL, name, shape.extents, 2);
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
    return all_of<T>(alltoall_async<T>(in, splits, row, name));
  }

  // The result is the handle's elements<T>().
  template <typename T>
  Handle reducescatter_async(
      Span<const T> in, fdl_reduce_op op = FDL_SUM, size_t row = 1, const char* name = nullptr) {
    const Shape shape = rows_of(FDL_REDUCESCATTER, in.size(), row, name);
    fdl_request request = request_of<T>(FDL_REDUCESCATTER, name, shape.extents, 2);
    request.in = in.data();
    request.reduce_op = op;
    return submit(request);
  }
  template <typename T>
  std::vector<T> reducescatter(
      Span<const T> in, fdl_reduce_op op = FDL_SUM, size_t row = 1, const char* name = nullptr) {
    return all_of<T>(reducescatter_async<T>(in, op, row, name));
  }

  // For the root alone; `out` is not looked at on other ranks and may be empty there.
  template <typename T>
  Handle reduce_async(
      Span<const T> in,
      Span<T> out,
      int root = 0,
      fdl_reduce_op op = FDL_SUM,
      const char* name = nullptr) {
    if (in.size() != out.size() && fdl_rank(session_) == root)
      refuse(
          FDL_REDUCE,
          name,
          "in has " + std::to_string(in.size()) + " elements, out has " +
              std::to_string(out.size()));
    const auto count = static_cast<int64_t>(in.size());
    fdl_request request = request_of<T>(FDL_REDUCE, name, &count, 1);
    request.in = in.data();
    request.out = out.data();
    request.reduce_op = op;
    request.root = root;
    return submit(request);
  }
  template <typename T>
  void reduce(
      Span<const T> in,
      Span<T> out,
      int root = 0,
      fdl_reduce_op op = FDL_SUM,
      const char* name = nullptr) {
    reduce_async<T>(in, out, root, op, name).wait();
  }

  // As allgather, for the root alone: others have no elements.
  template <typename T>
  Handle gather_async(Span<const T> in, int root = 0, size_t row = 1, const char* name = nullptr) {
    const Shape shape = rows_of(FDL_GATHER, in.size(), row, name);
    fdl_request request = request_of<T>(FDL_GATHER, name, shape.extents, 2);
    request.in = in.data();
    request.root = root;
    return submit(request);
  }
  template <typename T>
  std::vector<T> gather(
      Span<const T> in, int root = 0, size_t row = 1, const char* name = nullptr) {
    return all_of<T>(gather_async<T>(in, root, row, name));
  }

  // Rows of the root's `in`; that of others is not looked at. splits: as of alltoall.
  template <typename T>
  Handle scatter_async(
      Span<const T> in,
      int root = 0,
      const std::vector<int64_t>& splits = {},
      size_t row = 1,
      const char* name = nullptr) {
    const bool gives = fdl_rank(session_) == root;
    const Shape shape = rows_of(FDL_SCATTER, gives ? in.size() : 0, row, name);
    fdl_request request = request_of<T>(FDL_SCATTER, name, shape.extents, 2);
    request.in = in.data();
    request.splits = splits.data();
    request.split_count = splits.size();
    request.root = root;
    return submit(request);
  }
  template <typename T>
  std::vector<T> scatter(
      Span<const T> in,
      int root = 0,
      const std::vector<int64_t>& splits = {},
      size_t row = 1,
      const char* name = nullptr) {
    return all_of<T>(scatter_async<T>(in, root, splits, row, name));
  }

  // To rank `dest`, which receives it by the same name; other ranks have no part in it.
  template <typename T>
  Handle send_async(Span<const T> in, int dest, const char* name = nullptr) {
    const auto count = static_cast<int64_t>(in.size());
    fdl_request request = request_of<T>(FDL_MESSAGE, name, &count, 1);
    request.in = in.data();
    request.root = fdl_rank(session_);
    request.peer = dest;
    return submit(request);
  }
  template <typename T>
  void send(Span<const T> in, int dest, const char* name = nullptr) {
    send_async<T>(in, dest, name).wait();
  }

  // Into `out`, which has to be what rank `source` sends.
  template <typename T>
  Handle recv_async(Span<T> out, int source, const char* name = nullptr) {
    static const char nowhere = 0;  // memory for no element is memory, too
    const auto count = static_cast<int64_t>(out.size());
    fdl_request request = request_of<T>(FDL_MESSAGE, name, &count, 1);
    request.out = count == 0 ? const_cast<char*>(&nowhere) : static_cast<void*>(out.data());
    request.root = source;
    request.peer = fdl_rank(session_);
    return submit(request);
  }
  template <typename T>
  void recv(Span<T> out, int source, const char* name = nullptr) {
    recv_async<T>(out, source, name).wait();
  }
  // Whatever rank `source` sends; the result is the handle's elements<T>().
  Handle recv_async(int source, const char* name = nullptr) {
    fdl_request request = FDL_REQUEST_INIT;
    request.kind = FDL_MESSAGE;
    request.name = name;
    request.root = source;
    request.peer = fdl_rank(session_);
    return submit(request);
  }
  template <typename T>
  std::vector<T> recv(int source, const char* name = nullptr) {
    return all_of<T>(recv_async(source, name));
  }

  Handle barrier_async() {
    fdl_request request = FDL_REQUEST_INIT;
    request.kind = FDL_BARRIER;
    return submit(request);
  }
  void barrier() { barrier_async().wait(); }

  // This rank has no more to submit here until all have joined; the handle's value(), and the
  // result, is the rank that joined last.
  Handle join_async() {
    fdl_handle* handle = nullptr;
    check(fdl_join_async(session_, process_set_, &handle));
    return Handle(handle);
  }
  int join() { return static_cast<int>(join_async().value()); }

 protected:
  Operations() = default;
  Operations(const Operations&) = default;
  Operations& operator=(const Operations&) = default;
  ~Operations() = default;
  Operations(fdl_session* session, uint32_t process_set) noexcept
      : session_(session), process_set_(process_set) {}

  fdl_session* session_ = nullptr;
  uint32_t process_set_ = 0;

 private:
  struct Shape {
    int64_t extents[2];
  };

  template <typename T>
  static fdl_request request_of(
      fdl_kind kind, const char* name, const int64_t* shape, size_t dims) {
    fdl_request request = FDL_REQUEST_INIT;
    request.kind = kind;
    request.dtype = DTypeOf<T>::value;
    request.name = name;
    request.shape = shape;
    request.ndim = dims;
    return request;
  }
  Handle submit(fdl_request& request) {
    request.process_set = process_set_;
    fdl_handle* handle = nullptr;
    check(fdl_submit(session_, &request, 1, &handle));
    return Handle(handle);
  }
  Shape rows_of(fdl_kind kind, size_t size, size_t row, const char* name) const {
    if (row == 0 || size % row != 0)
      refuse(
          kind,
          name,
          std::to_string(size) + " elements are not whole rows of " + std::to_string(row));
    return {{static_cast<int64_t>(size / row), static_cast<int64_t>(row)}};
  }
  template <typename T>
  static std::vector<T> all_of(Handle handle) {
    const Span<T> all = handle.elements<T>();
    return {all.begin(), all.end()};
  }
  // A call that is refused here counts as every other: where it has no name it takes one.
  [[noreturn]] void refuse(fdl_kind kind, const char* name, const std::string& why) const {
    char taken[2];
    if (!name || !*name)
      check(fdl_next_name(session_, kind, process_set_, taken, sizeof taken));
    throw InvalidArgument(why, -1);
  }
};

}  // namespace fdl

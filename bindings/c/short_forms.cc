// fdl_allreduce and its kin: a request filled in, submitted, and waited for where asked.

#include <array>
#include <span>

#include "bindings/c/error.h"

namespace {

using Shape = std::array<int64_t, 2>;

// A refused call counts as every other: where it has no name it takes one.
fdl_code count_call(fdl_session* session, fdl_kind kind, const char* name) {
  if (name && *name)
    return FDL_OK;
  std::array<char, 2> taken{};
  return fdl_next_name(session, kind, 0, taken.data(), taken.size());
}

fdl_code no_place(fdl_session* session, fdl_kind kind, const char* name, const char* call) {
  const fdl_code code = count_call(session, kind, name);
  if (code != FDL_OK)
    return code;
  return farandole::capi::report(farandole::error(
      farandole::Code::InvalidArgument, "{}: there is no place for the handle (NULL)", call));
}

// Keeps the shape beside the request that points to it.
class ShortRequest {
 public:
  ShortRequest(fdl_kind kind, const char* name, fdl_dtype dtype, std::span<const int64_t> shape) {
    for (size_t i = 0; i < shape.size(); ++i) shape_.at(i) = shape[i];
    request_.kind = kind;
    request_.name = name;
    request_.dtype = dtype;
    request_.shape = shape_.data();
    request_.ndim = shape.size();
  }
  ShortRequest(const ShortRequest&) = delete;
  ShortRequest& operator=(const ShortRequest&) = delete;

  fdl_request* operator->() { return &request_; }

  fdl_code submit(fdl_session* session, fdl_handle** handle, const char* call) const {
    if (!handle)
      return no_place(session, request_.kind, request_.name, call);
    *handle = nullptr;
    return fdl_submit(session, &request_, 1, handle);
  }

  // The handle is kept only where the caller wants it and all went well.
  fdl_code run(fdl_session* session, fdl_handle** keep) const {
    fdl_handle* handle = nullptr;
    if (keep)
      *keep = nullptr;
    fdl_code code = fdl_submit(session, &request_, 1, &handle);
    if (code != FDL_OK)
      return code;
    code = fdl_wait(handle, -1);
    if (keep && code == FDL_OK)
      *keep = handle;
    else
      fdl_release(handle);
    return code;
  }

 private:
  Shape shape_{};
  fdl_request request_ = FDL_REQUEST_INIT;
};

// The waiting forms show no result of Farandole's own.
fdl_code no_out(fdl_session* session, fdl_kind kind, const char* name, const char* call) {
  const fdl_code code = count_call(session, kind, name);
  if (code != FDL_OK)
    return code;
  return farandole::capi::report(farandole::error(
      farandole::Code::InvalidArgument,
      "{0}: out is NULL, so there is no place for the result; {0}_async gives a handle that has it",
      call));
}

void set_reduction(ShortRequest& request, const void* in, void* out, fdl_reduce_op op) {
  request->in = in;
  request->out = out;
  request->reduce_op = op;
}

void set_broadcast(ShortRequest& request, void* data, int root) {
  request->in = data;
  request->out = data;
  request->root = root;
}

// A session that cannot be used is refused by the submission.
void set_alltoall(
    ShortRequest& request, const fdl_session* session, const void* in, const int64_t* splits) {
  const int size = splits ? fdl_size(session) : 0;
  request->in = in;
  request->splits = splits;
  request->split_count = size > 0 ? static_cast<size_t>(size) : 0;
}

}  // namespace

extern "C" {

fdl_code fdl_allreduce(
    fdl_session* session,
    const char* name,
    const void* in,
    void* out,
    int64_t count,
    fdl_dtype dtype,
    fdl_reduce_op op) {
  if (!out && count > 0)
    return no_out(session, FDL_ALLREDUCE, name, "fdl_allreduce");
  ShortRequest request(FDL_ALLREDUCE, name, dtype, {{count}});
  set_reduction(request, in, out, op);
  return request.run(session, nullptr);
}

fdl_code fdl_allreduce_async(
    fdl_session* session,
    const char* name,
    const void* in,
    void* out,
    int64_t count,
    fdl_dtype dtype,
    fdl_reduce_op op,
    fdl_handle** handle) {
  ShortRequest request(FDL_ALLREDUCE, name, dtype, {{count}});
  set_reduction(request, in, out, op);
  return request.submit(session, handle, "fdl_allreduce_async");
}

fdl_code fdl_broadcast(
    fdl_session* session, const char* name, void* data, int64_t count, fdl_dtype dtype, int root) {
  ShortRequest request(FDL_BROADCAST, name, dtype, {{count}});
  set_broadcast(request, data, root);
  return request.run(session, nullptr);
}

fdl_code fdl_broadcast_async(
    fdl_session* session,
    const char* name,
    void* data,
    int64_t count,
    fdl_dtype dtype,
    int root,
    fdl_handle** handle) {
  ShortRequest request(FDL_BROADCAST, name, dtype, {{count}});
  set_broadcast(request, data, root);
  return request.submit(session, handle, "fdl_broadcast_async");
}

fdl_code fdl_allgather(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    fdl_handle** handle) {
  if (!handle)
    return no_place(session, FDL_ALLGATHER, name, "fdl_allgather");
  ShortRequest request(FDL_ALLGATHER, name, dtype, {{rows, row}});
  request->in = in;
  return request.run(session, handle);
}

fdl_code fdl_allgather_async(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    fdl_handle** handle) {
  ShortRequest request(FDL_ALLGATHER, name, dtype, {{rows, row}});
  request->in = in;
  return request.submit(session, handle, "fdl_allgather_async");
}

fdl_code fdl_alltoall(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    const int64_t* splits,
    fdl_handle** handle) {
  if (!handle)
    return no_place(session, FDL_ALLTOALL, name, "fdl_alltoall");
  ShortRequest request(FDL_ALLTOALL, name, dtype, {{rows, row}});
  set_alltoall(request, session, in, splits);
  return request.run(session, handle);
}

fdl_code fdl_alltoall_async(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    const int64_t* splits,
    fdl_handle** handle) {
  ShortRequest request(FDL_ALLTOALL, name, dtype, {{rows, row}});
  set_alltoall(request, session, in, splits);
  return request.submit(session, handle, "fdl_alltoall_async");
}

fdl_code fdl_reducescatter(
    fdl_session* session,
    const char* name,
    const void* in,
    void* out,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    fdl_reduce_op op) {
  if (!out && rows > 0 && row > 0)
    return no_out(session, FDL_REDUCESCATTER, name, "fdl_reducescatter");
  ShortRequest request(FDL_REDUCESCATTER, name, dtype, {{rows, row}});
  set_reduction(request, in, out, op);
  return request.run(session, nullptr);
}

fdl_code fdl_reducescatter_async(
    fdl_session* session,
    const char* name,
    const void* in,
    void* out,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    fdl_reduce_op op,
    fdl_handle** handle) {
  ShortRequest request(FDL_REDUCESCATTER, name, dtype, {{rows, row}});
  set_reduction(request, in, out, op);
  return request.submit(session, handle, "fdl_reducescatter_async");
}

fdl_code fdl_barrier(fdl_session* session) {
  const ShortRequest request(FDL_BARRIER, nullptr, FDL_UINT8, {});
  return request.run(session, nullptr);
}

fdl_code fdl_barrier_async(fdl_session* session, fdl_handle** handle) {
  const ShortRequest request(FDL_BARRIER, nullptr, FDL_UINT8, {});
  return request.submit(session, handle, "fdl_barrier_async");
}

}  // extern "C"

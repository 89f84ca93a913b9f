// fdl_allreduce and its kin.

#include "bindings/c/short_request.h"

using farandole::capi::no_out;
using farandole::capi::no_place;
using farandole::capi::set_reduction;
using farandole::capi::set_splits;
using farandole::capi::ShortRequest;

namespace {

void set_broadcast(ShortRequest& request, void* data, int root) {
  request->in = data;
  request->out = data;
  request->root = root;
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
  set_splits(request, session, in, splits);
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
  set_splits(request, session, in, splits);
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

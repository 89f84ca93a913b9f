// fdl_reduce, fdl_gather and fdl_scatter.

#include "bindings/c/short_request.h"

using farandole::capi::no_out;
using farandole::capi::no_place;
using farandole::capi::set_reduction;
using farandole::capi::set_splits;
using farandole::capi::ShortRequest;

extern "C" {

fdl_code fdl_reduce(
    fdl_session* session,
    const char* name,
    const void* in,
    void* out,
    int64_t count,
    fdl_dtype dtype,
    fdl_reduce_op op,
    int root) {
  if (!out && count > 0 && fdl_rank(session) == root)
    return no_out(session, FDL_REDUCE, name, "fdl_reduce");
  ShortRequest request(FDL_REDUCE, name, dtype, {{count}});
  set_reduction(request, in, out, op);
  request->root = root;
  return request.run(session, nullptr);
}

fdl_code fdl_reduce_async(
    fdl_session* session,
    const char* name,
    const void* in,
    void* out,
    int64_t count,
    fdl_dtype dtype,
    fdl_reduce_op op,
    int root,
    fdl_handle** handle) {
  ShortRequest request(FDL_REDUCE, name, dtype, {{count}});
  set_reduction(request, in, out, op);
  request->root = root;
  return request.submit(session, handle, "fdl_reduce_async");
}

fdl_code fdl_gather(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    int root,
    fdl_handle** handle) {
  if (!handle)
    return no_place(session, FDL_GATHER, name, "fdl_gather");
  ShortRequest request(FDL_GATHER, name, dtype, {{rows, row}});
  request->in = in;
  request->root = root;
  return request.run(session, handle);
}

fdl_code fdl_gather_async(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    int root,
    fdl_handle** handle) {
  ShortRequest request(FDL_GATHER, name, dtype, {{rows, row}});
  request->in = in;
  request->root = root;
  return request.submit(session, handle, "fdl_gather_async");
}

fdl_code fdl_scatter(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    const int64_t* splits,
    int root,
    fdl_handle** handle) {
  if (!handle)
    return no_place(session, FDL_SCATTER, name, "fdl_scatter");
  ShortRequest request(FDL_SCATTER, name, dtype, {{rows, row}});
  set_splits(request, session, in, splits);
  request->root = root;
  return request.run(session, handle);
}

fdl_code fdl_scatter_async(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t rows,
    int64_t row,
    fdl_dtype dtype,
    const int64_t* splits,
    int root,
    fdl_handle** handle) {
  ShortRequest request(FDL_SCATTER, name, dtype, {{rows, row}});
  set_splits(request, session, in, splits);
  request->root = root;
  return request.submit(session, handle, "fdl_scatter_async");
}

}  // extern "C"

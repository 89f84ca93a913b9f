#pragma once
// What the short forms have in common: a request filled in, submitted, and waited for where asked.

#include <array>
#include <span>

#include "bindings/c/error.h"

namespace farandole::capi {

// A refused call counts as every other: where it has no name it takes one.
inline fdl_code count_call(fdl_session* session, const fdl_request& r) {
  if (r.name && *r.name)
    return FDL_OK;
  std::array<char, 2> taken{};
  if (r.kind == FDL_MESSAGE)
    return fdl_next_message_name(session, 0, r.root, r.peer, taken.data(), taken.size());
  return fdl_next_name(session, r.kind, 0, taken.data(), taken.size());
}

inline fdl_code no_place(fdl_session* session, const fdl_request& request, const char* call) {
  const fdl_code code = count_call(session, request);
  if (code != FDL_OK)
    return code;
  return report(error(Code::InvalidArgument, "{}: there is no place for the handle (NULL)", call));
}

inline fdl_code no_place(fdl_session* session, fdl_kind kind, const char* name, const char* call) {
  fdl_request request = FDL_REQUEST_INIT;
  request.kind = kind;
  request.name = name;
  return no_place(session, request, call);
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
  const fdl_request& operator*() const { return request_; }

  fdl_code submit(fdl_session* session, fdl_handle** handle, const char* call) const {
    if (!handle)
      return no_place(session, request_, call);
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
  std::array<int64_t, 2> shape_{};
  fdl_request request_ = FDL_REQUEST_INIT;
};

// The waiting forms show no result of Farandole's own.
inline fdl_code no_out(fdl_session* session, const fdl_request& request, const char* call) {
  const fdl_code code = count_call(session, request);
  if (code != FDL_OK)
    return code;
  return report(error(
      Code::InvalidArgument,
      "{0}: out is NULL, so there is no place for the result; {0}_async gives a handle that has it",
      call));
}

inline fdl_code no_out(fdl_session* session, fdl_kind kind, const char* name, const char* call) {
  fdl_request request = FDL_REQUEST_INIT;
  request.kind = kind;
  request.name = name;
  return no_out(session, request, call);
}

inline void set_reduction(ShortRequest& request, const void* in, void* out, fdl_reduce_op op) {
  request->in = in;
  request->out = out;
  request->reduce_op = op;
}

// A session that cannot be used is refused by the submission.
inline void set_splits(
    ShortRequest& request, const fdl_session* session, const void* in, const int64_t* splits) {
  const int size = splits ? fdl_size(session) : 0;
  request->in = in;
  request->splits = splits;
  request->split_count = size > 0 ? static_cast<size_t>(size) : 0;
}

}  // namespace farandole::capi

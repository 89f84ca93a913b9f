// fdl_send and fdl_recv.

#include "bindings/c/objects.h"
#include "bindings/c/short_request.h"

using farandole::capi::no_out;
using farandole::capi::ShortRequest;

namespace farandole::capi {
namespace {

void set_sent(ShortRequest& request, const fdl_session* session, const void* in, int dest) {
  request->in = in;
  request->root = fdl_rank(session);
  request->peer = dest;
}

void set_received(ShortRequest& request, const fdl_session* session, void* out, int source) {
  request->out = out;
  request->root = source;
  request->peer = fdl_rank(session);
}

}  // namespace
}  // namespace farandole::capi

using farandole::capi::set_received;
using farandole::capi::set_sent;

extern "C" {

fdl_code fdl_send(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t count,
    fdl_dtype dtype,
    int dest) {
  ShortRequest request(FDL_MESSAGE, name, dtype, {{count}});
  set_sent(request, session, in, dest);
  return request.run(session, nullptr);
}

fdl_code fdl_send_async(
    fdl_session* session,
    const char* name,
    const void* in,
    int64_t count,
    fdl_dtype dtype,
    int dest,
    fdl_handle** handle) {
  ShortRequest request(FDL_MESSAGE, name, dtype, {{count}});
  set_sent(request, session, in, dest);
  return request.submit(session, handle, "fdl_send_async");
}

fdl_code fdl_recv(
    fdl_session* session, const char* name, void* out, int64_t count, fdl_dtype dtype, int source) {
  ShortRequest request(FDL_MESSAGE, name, dtype, {{count}});
  int64_t nowhere = 0;  // memory for no element is memory, too
  set_received(request, session, out || count > 0 ? out : &nowhere, source);
  if (!request->out)
    return no_out(session, *request, "fdl_recv");
  return request.run(session, nullptr);
}

fdl_code fdl_recv_async(
    fdl_session* session,
    const char* name,
    void* out,
    int64_t count,
    fdl_dtype dtype,
    int source,
    fdl_handle** handle) {
  ShortRequest request(FDL_MESSAGE, name, dtype, {{count}});
  set_received(request, session, out, source);
  return request.submit(session, handle, "fdl_recv_async");
}

}  // extern "C"

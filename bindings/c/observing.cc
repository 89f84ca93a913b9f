// fdl_start_timeline, fdl_stop_timeline: what a job does, seen from outside.

#include "bindings/c/error.h"
#include "bindings/c/objects.h"
#include "core/session_timeline.h"

using farandole::Status;
using farandole::capi::guarded;
using farandole::capi::usable;
using farandole::capi::use;

extern "C" {

fdl_code fdl_start_timeline(fdl_session* session, const char* path, int mark_cycles) {
  return guarded([&]() -> Status {
    const auto used = use(session);
    FARANDOLE_RETURN_IF_ERROR(used.status());
    if (!path || *path == '\0')
      return {
          farandole::Code::InvalidArgument,
          "fdl_start_timeline: there is no path (NULL or empty); name a file"};
    return farandole::start_timeline(*used.value(), path, mark_cycles != 0);
  });
}

fdl_code fdl_stop_timeline(fdl_session* session) {
  return guarded([&] {
    FARANDOLE_RETURN_IF_ERROR(usable(session));
    if (const auto used = session->box->use())
      used.value()->timeline().stop();
    return Status::ok();
  });
}

}  // extern "C"

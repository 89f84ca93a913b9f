// fdl_wait to fdl_release: what becomes of a submitted operation.

#include <cmath>

#include "bindings/c/error.h"
#include "bindings/c/objects.h"
#include "bindings/c/sized.h"

namespace farandole::capi {
namespace {

// Stands for "no deadline": beyond the life of a process, far from the clock's overflow.
constexpr double kForever = 1e9;

TimePoint deadline_after(double seconds) {
  const double bounded = seconds < 0 || seconds > kForever ? kForever : seconds;
  return steady_now() + Duration(static_cast<int64_t>(bounded * 1e9));
}

// Where a shutdown had to leave an operation behind: nobody can say when it ends, if it does.
Status left_behind() {
  return {
      Code::Aborted,
      "the session was shut down, and this operation could not be ended with it: it may use its "
      "memory until this process ends; the log says what is stuck"};
}

fdl_code wait(fdl_handle& handle, double seconds) {
  Ticket& ticket = *handle.ticket;
  const TimePoint deadline = deadline_after(seconds);
  if (!ticket.settled()) {
    const Result<SessionUse> used = handle.box->use();
    const bool waited = used && used.value()->wait_until(ticket, deadline);
    if (!waited && !ticket.settled())
      return used && steady_now() >= deadline ? FDL_PENDING : report(left_behind());
  }
  return report(ticket.status());
}

fdl_result result_of(const fdl_handle& handle) {
  const Outcome& outcome = handle.ticket->outcome();
  fdl_result result = FDL_RESULT_INIT;
  result.value = outcome.value;
  if (handle.kind == CollectiveKind::Barrier || !is_carried(handle.kind))
    return result;
  result.data = outcome.data;
  result.dtype = static_cast<fdl_dtype>(outcome.dtype);
  result.bytes = static_cast<size_t>(element_count(outcome.shape)) * size_of(outcome.dtype);
  result.ndim = outcome.shape.size();
  result.shape = outcome.shape.data();
  result.splits = outcome.splits.empty() ? nullptr : outcome.splits.data();
  result.split_count = outcome.splits.size();
  return result;
}

Status call_back(fdl_handle& handle, fdl_callback callback, void* user) {
  if (!callback)
    return {Code::InvalidArgument, "fdl_on_done: the callback is NULL"};
  if (handle.has_callback.exchange(true))
    return {Code::InvalidArgument, "fdl_on_done: the handle already has a callback"};
  handle.ticket->on_settled(
      [callback, user](const Status& status) { callback(report(status), user); });
  return Status::ok();
}

}  // namespace
}  // namespace farandole::capi

using farandole::Code;
using farandole::Status;
using farandole::capi::guarded;
using farandole::capi::usable;

extern "C" {

fdl_code fdl_wait(fdl_handle* handle, double seconds) {
  fdl_code code = FDL_OK;
  const fdl_code failure = guarded([&] {
    FARANDOLE_RETURN_IF_ERROR(usable(handle));
    if (std::isnan(seconds))
      return Status(Code::InvalidArgument, "fdl_wait: seconds is not a number");
    code = farandole::capi::wait(*handle, seconds);
    return Status::ok();
  });
  return failure == FDL_OK ? code : failure;
}

fdl_code fdl_poll(const fdl_handle* handle, int* settled) {
  return guarded([&] {
    FARANDOLE_RETURN_IF_ERROR(usable(handle));
    if (!settled)
      return Status(Code::InvalidArgument, "fdl_poll: there is no place for the answer (NULL)");
    *settled = handle->ticket->settled() ? 1 : 0;
    return Status::ok();
  });
}

fdl_code fdl_on_done(fdl_handle* handle, fdl_callback callback, void* user) {
  return guarded([&] {
    FARANDOLE_RETURN_IF_ERROR(usable(handle));
    return farandole::capi::call_back(*handle, callback, user);
  });
}

fdl_code fdl_get_result(fdl_handle* handle, fdl_result* result) {
  bool pending = false;
  const fdl_code code = guarded([&] {
    FARANDOLE_RETURN_IF_ERROR(usable(handle));
    pending = !handle->ticket->settled();
    if (pending)
      return Status::ok();
    FARANDOLE_RETURN_IF_ERROR(handle->ticket->status());
    return farandole::capi::write_sized(farandole::capi::result_of(*handle), result, "fdl_result");
  });
  return pending ? FDL_PENDING : code;
}

fdl_code fdl_release(fdl_handle* handle) {
  return guarded([&] {
    if (!handle)
      return Status::ok();
    return farandole::capi::taken_back(handle).status();
  });
}

}  // extern "C"

// fdl_add_process_set to fdl_join: what ranks agree upon besides collectives.

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "bindings/c/error.h"
#include "bindings/c/objects.h"

namespace farandole::capi {
namespace {

constexpr size_t kMaxRanks = 1 << 20;  // bounds what is read through a count that is garbage

// `answer`: what there is no place for where `out` is null.
Status submit(
    fdl_session* session,
    Signature signature,
    fdl_handle** out,
    const char* call,
    const char* answer) {
  const Result<SessionUse> used = use(session);
  FARANDOLE_RETURN_IF_ERROR(used.status());
  Session& target = *used.value();
  if (!out) {
    if (signature.kind != CollectiveKind::Join)
      static_cast<void>(target.next_name(signature.kind));
    return error(Code::InvalidArgument, "{}: there is no place for the {} (NULL)", call, answer);
  }
  *out = nullptr;
  auto handle = std::make_unique<fdl_handle>();
  handle->box = session->box;
  handle->kind = signature.kind;
  std::vector<Request> requests(1);
  requests[0].signature = std::move(signature);
  Result<std::vector<TicketPtr>> tickets = target.submit(std::move(requests));
  if (!tickets)
    return tickets.status();
  handle->ticket = std::move(tickets.value()[0]);
  *out = handle.release();
  return Status::ok();
}

Status add(
    fdl_session* session,
    const int* ranks,
    size_t count,
    fdl_handle** out,
    const char* call,
    const char* answer = "handle") {
  Signature signature{.kind = CollectiveKind::AddProcessSet};
  Status wrong;
  if (count > 0 && !ranks)
    wrong = error(Code::InvalidArgument, "{}: ranks is NULL, but {} are announced", call, count);
  else if (count > kMaxRanks)
    wrong = error(Code::InvalidArgument, "{}: {} ranks are too many", call, count);
  if (!wrong) {
    // A refused call counts as every other.
    const Result<SessionUse> used = use(session);
    FARANDOLE_RETURN_IF_ERROR(used.status());
    static_cast<void>(used.value()->next_name(signature.kind));
    return wrong;
  }
  signature.operand.assign(ranks, ranks + count);
  std::ranges::sort(signature.operand);
  return submit(session, std::move(signature), out, call, answer);
}

Status remove(fdl_session* session, uint32_t id, fdl_handle** out, const char* call) {
  return submit(
      session, {.kind = CollectiveKind::RemoveProcessSet, .operand = {id}}, out, call, "handle");
}

Status join(
    fdl_session* session,
    uint32_t process_set,
    fdl_handle** out,
    const char* call,
    const char* answer = "handle") {
  return submit(
      session, {.kind = CollectiveKind::Join, .process_set = process_set}, out, call, answer);
}

// Waits for what `start` submits, and gives its value.
template <typename Start>
fdl_code run(const Start& start, int64_t& value) {
  fdl_handle* handle = nullptr;
  fdl_code code = guarded([&] { return start(&handle); });
  if (code != FDL_OK)
    return code;
  code = fdl_wait(handle, -1);
  if (code == FDL_OK)
    value = handle->ticket->outcome().value;
  fdl_release(handle);
  return code;
}

template <typename T>
Status copy_out(
    const std::vector<T>& values, T* to, size_t capacity, size_t* count, const char* call) {
  if (!count || (!to && capacity > 0))
    return error(Code::InvalidArgument, "{}: there is no place for the answer (NULL)", call);
  *count = values.size();
  std::ranges::copy(std::span(values).first(std::min(capacity, values.size())), to);
  return Status::ok();
}

}  // namespace
}  // namespace farandole::capi

namespace capi = farandole::capi;
using farandole::Status;

extern "C" {

fdl_code fdl_add_process_set(fdl_session* session, const int* ranks, size_t count, uint32_t* id) {
  int64_t value = 0;
  const fdl_code code = capi::run(
      [&](fdl_handle** handle) {
        return capi::add(session, ranks, count, id ? handle : nullptr, "fdl_add_process_set", "id");
      },
      value);
  if (code == FDL_OK)
    *id = static_cast<uint32_t>(value);
  return code;
}

fdl_code fdl_add_process_set_async(
    fdl_session* session, const int* ranks, size_t count, fdl_handle** handle) {
  return capi::guarded(
      [&] { return capi::add(session, ranks, count, handle, "fdl_add_process_set_async"); });
}

fdl_code fdl_remove_process_set(fdl_session* session, uint32_t id) {
  int64_t value = 0;
  return capi::run(
      [&](fdl_handle** handle) {
        return capi::remove(session, id, handle, "fdl_remove_process_set");
      },
      value);
}

fdl_code fdl_remove_process_set_async(fdl_session* session, uint32_t id, fdl_handle** handle) {
  return capi::guarded(
      [&] { return capi::remove(session, id, handle, "fdl_remove_process_set_async"); });
}

fdl_code fdl_process_sets(
    const fdl_session* session, uint32_t* ids, size_t capacity, size_t* count) {
  return capi::guarded([&] {
    const auto used = capi::use(session);
    FARANDOLE_RETURN_IF_ERROR(used.status());
    return capi::copy_out(used.value()->process_sets(), ids, capacity, count, "fdl_process_sets");
  });
}

fdl_code fdl_process_set_ranks(
    const fdl_session* session, uint32_t id, int* ranks, size_t capacity, size_t* count) {
  return capi::guarded([&]() -> Status {
    const auto used = capi::use(session);
    FARANDOLE_RETURN_IF_ERROR(used.status());
    const auto members = used.value()->ranks_of(id);
    FARANDOLE_RETURN_IF_ERROR(members.status());
    return capi::copy_out(members.value(), ranks, capacity, count, "fdl_process_set_ranks");
  });
}

fdl_code fdl_join(fdl_session* session, uint32_t process_set, int* last_rank) {
  int64_t value = 0;
  const fdl_code code = capi::run(
      [&](fdl_handle** handle) {
        return capi::join(session, process_set, last_rank ? handle : nullptr, "fdl_join", "rank");
      },
      value);
  if (code == FDL_OK)
    *last_rank = static_cast<int>(value);
  return code;
}

fdl_code fdl_join_async(fdl_session* session, uint32_t process_set, fdl_handle** handle) {
  return capi::guarded([&] { return capi::join(session, process_set, handle, "fdl_join_async"); });
}

}  // extern "C"

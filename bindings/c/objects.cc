#include "bindings/c/objects.h"

#include <unistd.h>

#include <utility>

#include "core/base/abandon.h"
#include "core/base/format.h"

namespace farandole::capi {

SessionBox::SessionBox(std::unique_ptr<Session> session)
    : session_(std::move(session)), owner_(getpid()) {}

SessionBox::~SessionBox() {
  if (forked())
    abandon(session_);
}

bool SessionBox::forked() const noexcept {
  return getpid() != owner_;
}

Status SessionBox::usable() const {
  if (!forked())
    return Status::ok();
  return {
      Code::Aborted,
      "this process was forked from one that had initialised Farandole; a forked child cannot "
      "communicate: use the parent, or start the child anew (spawn)"};
}

namespace {

template <typename T>
Status check_pointer(const T* object, Tag::Kind kind, const char* what, const char* end) {
  if (!object)
    return error(Code::InvalidArgument, "the {} is NULL", what);
  const bool aligned = reinterpret_cast<uintptr_t>(object) % alignof(T) == 0;
  if (aligned && object->tag.is(kind))
    return Status::ok();
  return error(
      Code::InvalidArgument,
      "this pointer is to no {}: {} has freed it, or it never was one",
      what,
      end);
}

}  // namespace

Status existing(const fdl_session* session) {
  return check_pointer(session, Tag::kSession, "session", "fdl_destroy");
}

Status existing(const fdl_handle* handle) {
  return check_pointer(handle, Tag::kHandle, "handle", "fdl_release");
}

Status usable(const fdl_session* session) {
  FARANDOLE_RETURN_IF_ERROR(existing(session));
  return session->box->usable();
}

Status usable(const fdl_handle* handle) {
  FARANDOLE_RETURN_IF_ERROR(existing(handle));
  return handle->box->usable();
}

}  // namespace farandole::capi

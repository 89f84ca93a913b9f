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
struct Kind;
template <>
struct Kind<fdl_session> {
  static constexpr Held held = Held::Session;
  static constexpr const char* name = "session";
  static constexpr const char* end = "fdl_destroy";
};
template <>
struct Kind<fdl_handle> {
  static constexpr Held held = Held::Handle;
  static constexpr const char* name = "handle";
  static constexpr const char* end = "fdl_release";
};

// Whether `look` finds the pointer held. Nothing is read through it before.
template <typename T>
Status check_pointer(const T* object, bool (*look)(const void*, Held) noexcept) {
  if (!object)
    return error(Code::InvalidArgument, "the {} is NULL", Kind<T>::name);
  const bool aligned = reinterpret_cast<uintptr_t>(object) % alignof(T) == 0;
  if (aligned && look(object, Kind<T>::held))
    return Status::ok();
  return error(
      Code::InvalidArgument,
      "this pointer is to no {}: {} has freed it, or it never was one",
      Kind<T>::name,
      Kind<T>::end);
}

template <typename T>
Result<std::unique_ptr<T>> take_back(T* object) {
  FARANDOLE_RETURN_IF_ERROR(check_pointer(object, let_go));
  return std::unique_ptr<T>(object);
}

}  // namespace

Result<std::unique_ptr<fdl_session>> taken_back(fdl_session* session) {
  return take_back(session);
}

Result<std::unique_ptr<fdl_handle>> taken_back(fdl_handle* handle) {
  return take_back(handle);
}

Status usable(const fdl_session* session) {
  FARANDOLE_RETURN_IF_ERROR(check_pointer(session, is_held));
  return session->box->usable();
}

Status usable(const fdl_handle* handle) {
  FARANDOLE_RETURN_IF_ERROR(check_pointer(handle, is_held));
  return handle->box->usable();
}

}  // namespace farandole::capi

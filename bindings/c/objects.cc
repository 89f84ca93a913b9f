#include "bindings/c/objects.h"

#include "core/base/format.h"

namespace farandole::capi {

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

bool begin_ending(const void* object, Held kind) noexcept {
  return turn(object, kind, Held::EndingSession);
}

// In the order in which it becomes one.
bool is_there(const void* object, Held kind) noexcept {
  return is_held(object, kind) || is_held(object, Held::EndingSession);
}

}  // namespace

void LetGo::operator()(fdl_session* session) const noexcept {
  let_go(session, Held::EndingSession);
  delete session;
}

Result<EndingSession> taken_back(fdl_session* session) {
  FARANDOLE_RETURN_IF_ERROR(check_pointer(session, begin_ending));
  return EndingSession(session);
}

Result<std::unique_ptr<fdl_handle>> taken_back(fdl_handle* handle) {
  FARANDOLE_RETURN_IF_ERROR(check_pointer(handle, let_go));
  return std::unique_ptr<fdl_handle>(handle);
}

Status usable(const fdl_session* session) {
  FARANDOLE_RETURN_IF_ERROR(check_pointer(session, is_there));
  return session->box->usable();
}

Result<SessionUse> use(const fdl_session* session) {
  FARANDOLE_RETURN_IF_ERROR(usable(session));
  return session->box->use();
}

Status usable_to_end(const fdl_session* session) {
  FARANDOLE_RETURN_IF_ERROR(check_pointer(session, is_held));
  return session->box->usable();
}

Status usable(const fdl_handle* handle) {
  FARANDOLE_RETURN_IF_ERROR(check_pointer(handle, is_held));
  return handle->box->usable();
}

}  // namespace farandole::capi

#include "bindings/c/objects.h"

#include <unistd.h>

#include <utility>

namespace farandole::capi {

SessionBox::SessionBox(std::unique_ptr<Session> session)
    : session_(std::move(session)), owner_(getpid()) {}

SessionBox::~SessionBox() {
  if (forked())
    static_cast<void>(session_.release());
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

Status usable(const fdl_session* session) {
  return session ? session->box->usable() : Status(Code::InvalidArgument, "the session is NULL");
}

Status usable(const fdl_handle* handle) {
  return handle ? handle->box->usable() : Status(Code::InvalidArgument, "the handle is NULL");
}

}  // namespace farandole::capi

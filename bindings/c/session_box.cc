#include "bindings/c/session_box.h"

#include <unistd.h>

#include "core/base/abandon.h"
#include "core/base/log.h"
#include "core/base/patience.h"

namespace farandole::capi {

SessionBox::SessionBox(std::unique_ptr<Session> session)
    : owner_(getpid()),
      topology_(session->topology()),
      members_(session->members()),
      counters_(session->shared_counters()),
      session_(std::move(session)) {}

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

Result<SessionUse> SessionBox::use() {
  FARANDOLE_RETURN_IF_ERROR(usable());  // first: a child may find the mutex taken for ever
  MutexLock lock(mutex_);
  if (!open_)
    return Session::after_shutdown();
  ++users_;
  return SessionUse(shared_from_this(), session_.get());
}

void SessionBox::leave() noexcept {
  std::unique_ptr<Session> last;
  {
    MutexLock lock(mutex_);
    if (--users_ > 0 || open_)
      return;
    if (left_to_users_)
      last = std::move(session_);
    else
      changed_.notify_all();
  }
  destroy(std::move(last));
}

Status SessionBox::shutdown(const std::string& cause) {
  // Ends it also where the shutdown throws, for want of memory say.
  struct Ending {
    SessionBox& box;
    ~Ending() { box.end(); }
  } const ending{*this};
  const Result<SessionUse> used = use();
  return used ? used.value()->shutdown(cause) : Status::ok();
}

void SessionBox::end() noexcept {
  const TimePoint last = steady_now() + patience::kLoop;
  std::unique_ptr<Session> ended;
  {
    MutexLock lock(mutex_);
    open_ = false;
    while (users_ > 0 && changed_.wait_until(mutex_, last)) {
    }
    left_to_users_ = users_ > 0;
    if (!left_to_users_)
      ended = std::move(session_);
  }
  destroy(std::move(ended));
  MutexLock lock(mutex_);
  while (!gone_ && !left_to_users_ && changed_.wait_until(mutex_, last)) {
  }
  if (left_to_users_)
    FARANDOLE_LOG(
        Error,
        "rank {}: a thread is still in a call of the session that was shut down; its threads and "
        "memory stay until that returns",
        topology_.rank);
}

void SessionBox::destroy(std::unique_ptr<Session> session) noexcept {
  if (!session)
    return;
  session.reset();
  MutexLock lock(mutex_);
  gone_ = true;
  changed_.notify_all();
}

}  // namespace farandole::capi

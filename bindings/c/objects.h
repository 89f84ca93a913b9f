#pragma once
// What stands behind the opaque handles.

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "bindings/c/held.h"
#include "bindings/c/include/farandole/farandole.h"
#include "core/session.h"

namespace farandole::capi {

// A session and the process that started it. Shared by the caller's fdl_session and by its
// operations, whose results may outlive it.
class SessionBox {
 public:
  explicit SessionBox(std::unique_ptr<Session> session);
  // In a forked child the session is left alone: its threads exist in the parent only.
  ~SessionBox();
  SessionBox(const SessionBox&) = delete;
  SessionBox& operator=(const SessionBox&) = delete;

  bool forked() const noexcept;
  // Ok in the process that started the session.
  Status usable() const;
  Session& session() const noexcept { return *session_; }

 private:
  std::unique_ptr<Session> session_;
  pid_t owner_;
};

}  // namespace farandole::capi

struct fdl_session {
  farandole::capi::Holding held{this, farandole::capi::Held::Session};
  std::shared_ptr<farandole::capi::SessionBox> box;
};

struct fdl_handle {
  farandole::capi::Holding held{this, farandole::capi::Held::Handle};
  std::shared_ptr<farandole::capi::SessionBox> box;
  farandole::CollectiveKind kind = farandole::CollectiveKind::Allreduce;
  std::atomic<bool> has_callback{false};
  farandole::TicketPtr ticket;  // goes first: its memory may belong to a device of the session
};

namespace farandole::capi {

// A session that fdl_destroy has begun with: usable by callbacks, until it goes with this.
struct LetGo {
  void operator()(fdl_session* session) const noexcept;
};
using EndingSession = std::unique_ptr<fdl_session, LetGo>;

// Takes back what fdl_init or fdl_submit gave. Fails where that is not held, and so for all but one
// of several threads.
Result<EndingSession> taken_back(fdl_session* session);
Result<std::unique_ptr<fdl_handle>> taken_back(fdl_handle* handle);
// Ok where `session` or `handle` can be used by this process.
Status usable(const fdl_session* session);
Status usable(const fdl_handle* handle);
// Ok where, besides, nobody has given it to fdl_destroy, which ends it, too.
Status usable_to_end(const fdl_session* session);

}  // namespace farandole::capi

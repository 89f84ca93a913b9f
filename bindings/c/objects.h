#pragma once
// What stands behind the opaque handles.

#include <atomic>
#include <cstdint>
#include <memory>

#include "bindings/c/held.h"
#include "bindings/c/include/farandole/farandole.h"
#include "bindings/c/session_box.h"

struct fdl_session {
  farandole::capi::Holding held{this, farandole::capi::Held::Session};
  std::shared_ptr<farandole::capi::SessionBox> box;
};

struct fdl_handle {
  farandole::capi::Holding held{this, farandole::capi::Held::Handle};
  std::shared_ptr<farandole::capi::SessionBox> box;
  farandole::CollectiveKind kind = farandole::CollectiveKind::Allreduce;
  std::atomic<bool> has_callback{false};
  farandole::TicketPtr ticket;
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
// The same, with the session itself for the time of a call. Fails also after shutdown.
Result<SessionUse> use(const fdl_session* session);
// Ok where, besides, nobody has given it to fdl_destroy, which ends it, too.
Status usable_to_end(const fdl_session* session);

}  // namespace farandole::capi

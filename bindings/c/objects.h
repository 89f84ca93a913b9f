#pragma once
// What stands behind the opaque handles.

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>

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

// Stands at the head of what a caller holds by pointer, and goes with it: so a pointer that was
// given back, or is one to something else, is refused where its memory still tells.
class Tag {
 public:
  enum Kind : uint64_t { kSession = 0x6c64665f73657373, kHandle = 0x6c64665f68616e64 };
  explicit Tag(Kind kind) noexcept : kind_(kind) {}
  ~Tag() { kind_ = 0; }
  Tag(const Tag&) = delete;
  Tag& operator=(const Tag&) = delete;

  bool is(Kind kind) const noexcept { return kind_ == kind; }

 private:
  volatile uint64_t kind_;  // the last store is not left out
};

}  // namespace farandole::capi

struct fdl_session {
  farandole::capi::Tag tag{farandole::capi::Tag::kSession};
  std::shared_ptr<farandole::capi::SessionBox> box;
};

struct fdl_handle {
  farandole::capi::Tag tag{farandole::capi::Tag::kHandle};
  std::shared_ptr<farandole::capi::SessionBox> box;
  farandole::CollectiveKind kind = farandole::CollectiveKind::Allreduce;
  std::atomic<bool> has_callback{false};
  farandole::TicketPtr ticket;  // goes first: its memory may belong to a device of the session
};

namespace farandole::capi {

// Ok where the pointer is one that fdl_init or fdl_submit gave and nobody gave back.
Status existing(const fdl_session* session);
Status existing(const fdl_handle* handle);
// Ok where `session` or `handle` can be used by this process.
Status usable(const fdl_session* session);
Status usable(const fdl_handle* handle);

}  // namespace farandole::capi

#pragma once
// What stands behind an fdl_session and its handles: the session until it is shut down, and from
// then on only what may still be asked.

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/session.h"

namespace farandole::capi {

class SessionUse;

// A session and the process that started it. Shared by the caller's fdl_session and by its
// operations: these may be kept for as long as the caller likes, and the session ends with its
// shutdown all the same. Thread: any. Requires: made by make_shared.
class SessionBox : public std::enable_shared_from_this<SessionBox> {
 public:
  explicit SessionBox(std::unique_ptr<Session> session);
  // In a forked child the session is left alone: its threads exist in the parent only.
  ~SessionBox();
  SessionBox(const SessionBox&) = delete;
  SessionBox& operator=(const SessionBox&) = delete;

  bool forked() const noexcept;
  // Ok in the process that started the session.
  Status usable() const;

  // Before and after the end alike.
  const Topology& topology() const noexcept { return topology_; }
  const std::vector<Member>& members() const noexcept { return members_; }
  Counters::Values counters() const noexcept { return counters_->read(); }

  // The session for as long as one call needs it. Fails: as usable(), and Aborted once shutdown()
  // has ended it.
  Result<SessionUse> use();
  // Session::shutdown, then its end: when this returns, nothing is left of its threads, descriptors
  // and segments, but where that had to give one up. Calls that use it meanwhile are waited for, as
  // their operations have ended; for patience::kLoop at most, then the last of them ends it.
  // Idempotent; several at once all wait.
  Status shutdown(const std::string& cause);

 private:
  friend class SessionUse;
  void leave() noexcept;
  void end() noexcept;
  void destroy(std::unique_ptr<Session> session) noexcept;

  const pid_t owner_;
  const Topology topology_;
  const std::vector<Member> members_;
  const std::shared_ptr<const Counters> counters_;
  Mutex mutex_;
  CondVar changed_;
  std::unique_ptr<Session> session_ FARANDOLE_GUARDED_BY(mutex_);  // null once it ends
  size_t users_ FARANDOLE_GUARDED_BY(mutex_) = 0;
  bool open_ FARANDOLE_GUARDED_BY(mutex_) = true;
  bool left_to_users_ FARANDOLE_GUARDED_BY(mutex_) = false;  // the last of them destroys it
  bool gone_ FARANDOLE_GUARDED_BY(mutex_) = false;
};

// Keeps a session from ending while a call is in it.
class SessionUse {
 public:
  SessionUse(SessionUse&& other) noexcept = default;
  SessionUse& operator=(SessionUse&&) = delete;
  SessionUse(const SessionUse&) = delete;
  SessionUse& operator=(const SessionUse&) = delete;
  ~SessionUse() {
    if (box_)
      box_->leave();
  }

  Session& operator*() const noexcept { return *session_; }
  Session* operator->() const noexcept { return session_; }

 private:
  friend class SessionBox;
  SessionUse(std::shared_ptr<SessionBox> box, Session* session) noexcept
      : box_(std::move(box)), session_(session) {}

  std::shared_ptr<SessionBox> box_;
  Session* session_;
};

}  // namespace farandole::capi

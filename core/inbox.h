#pragma once
// Inbox: everything that reaches the engine, in one bounded queue, handled on one thread. Nothing
// polls: each message brings its own wake-up of the loop, but for those that find it at work.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include "core/agreement.h"
#include "core/base/mutex.h"
#include "core/event_loop.h"
#include "core/pending.h"

namespace farandole {

namespace message {
struct Submit {
  std::vector<PendingOp> ops;
};
struct Agreed {
  Agreement agreement;
};
struct Failed {
  PeerFailure failure;
};
// A lane could not finish these.
struct Broken {
  Bucket bucket;
  Status why;
};
struct BucketDone {};
// The lane of a process set that was removed has carried out everything.
struct Retired {
  uint32_t process_set = 0;
};
// The session ends: whatever is still unsettled ends with `why`. Lanes that have finished are left
// alone: to peers that still read, an abort would look like a failure.
struct Close {
  Status why;
  bool lanes_idle = false;
};
}  // namespace message

using Message = std::variant<
    message::Submit,
    message::Agreed,
    message::Failed,
    message::Broken,
    message::BucketDone,
    message::Retired,
    message::Close>;

// Bounded by what feeds it: NameRegistry limits tensors in flight, and every other message stands
// for tensors or ranks. Thread: push from any.
class Inbox : public std::enable_shared_from_this<Inbox> {
 public:
  using Handler = std::function<void(Message)>;

  // `handler` is called on the loop's thread, one message at a time; in close() on the caller's.
  // What it throws costs that message alone: those behind it are handled first, then whoever had
  // them handled gets the exception. Requires: made by make_shared.
  Inbox(EventLoop& loop, Handler handler) : loop_(loop), handler_(std::move(handler)) {}

  // False once closed; the message is as it was, then, and also where there is no memory: throws
  // bad_alloc. From the loop's own thread the message is handled before push returns, which may
  // throw what the handler throws, unless one is being handled: then right after that one.
  bool push(Message&& message);
  // Waits until every message pushed before has been handled; false at the deadline. Not from the
  // loop's thread.
  bool drain_until(TimePoint deadline);
  // Handles here what is still queued; nothing afterwards, and nothing on the loop any more. Waits
  // for a message that is being handled on another thread; false at the deadline, where that one
  // and what is queued behind it are handled there whenever it returns.
  bool close(TimePoint deadline);

 private:
  void handle_all();
  void handle_queued() FARANDOLE_REQUIRES(mutex_);
  void handle_one() FARANDOLE_REQUIRES(mutex_);
  bool take_back(uint64_t number, Message& message);

  struct Queued {
    uint64_t number = 0;  // by which it is told from every other one
    Message message;
  };

  EventLoop& loop_;
  const Handler handler_;
  Mutex mutex_;
  CondVar quiet_;
  std::deque<Queued> queue_ FARANDOLE_GUARDED_BY(mutex_);
  uint64_t pushed_ FARANDOLE_GUARDED_BY(mutex_) = 0;
  bool handling_ FARANDOLE_GUARDED_BY(mutex_) = false;
  bool closed_ FARANDOLE_GUARDED_BY(mutex_) = false;
};

}  // namespace farandole

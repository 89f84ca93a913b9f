#pragma once
// Connection: frames both ways over one authenticated socket, on the loop's thread.

#include <cstddef>
#include <functional>
#include <memory>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/net/connector.h"
#include "core/net/io_thread.h"

namespace farandole::net {

struct ConnectionLimits {
  size_t max_frame_bytes = 16 << 20;   // of a body
  size_t send_queue_bytes = 64 << 20;  // a peer that reads too slowly fails, never blocks
};

// Called on the loop's thread. An owner that throws has lost its state, and the others would wait
// for what it knew: the process ends instead, which they hear of at once.
struct ConnectionEvents {
  std::function<void(ByteSpan body)> frame;  // 8-byte aligned, valid during the call
  std::function<void()> drained;  // what had arrived has been handed over: time to flush answers
  // The connection cannot be used any more. Exactly once, never from within send() or flush(), and
  // not after close().
  std::function<void(Status why)> closed;
};

// Thread: the loop's, for every function. Never raises SIGPIPE.
class Connection {
 public:
  // Reading begins in the next turn of the loop.
  Connection(IoThread& io, Established socket, ConnectionLimits limits, ConnectionEvents events);
  // As close(). In a forked child: nothing.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Queues one frame; flush() hands all that is queued to the kernel in one write.
  void send(ByteSpan body);
  void flush();
  size_t queued_bytes() const noexcept;

  // Ends it now, dropping what is queued. No event afterwards.
  void close();
  // Sends what is queued, tells the peer that no more will come, and waits for it to close, too,
  // but not beyond `deadline`; then `done`, unless close() came first. No other event afterwards.
  void finish(TimePoint deadline, std::function<void()> done);

 private:
  struct Impl;
  ForkGuard fork_;
  std::shared_ptr<Impl> impl_;
};

}  // namespace farandole::net

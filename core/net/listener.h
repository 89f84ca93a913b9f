#pragma once
// Listener: takes connections at one address, and hands over those that prove the secret.

#include <cstddef>
#include <functional>
#include <memory>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/net/connector.h"
#include "core/net/io_thread.h"

namespace farandole::net {

struct ListenerOptions {
  Endpoint at;              // one address, never all; port 0: any free one
  LookupLimits lookup;      // of its host
  bool reuse_port = false;  // another process of this user holds the port for us
  // Connections that have not proved the secret. One more ends the oldest: a real peer needs
  // milliseconds, so a flood of strangers cannot keep it out.
  size_t max_half_open = 64;
  Duration handshake_timeout = std::chrono::seconds(2);
  std::function<ServerParams()> server;       // for each connection; called on the loop
  std::function<void(Established)> accepted;  // likewise
  // This process cannot take a connection, and has none that it could let go for it. Likewise; may
  // be empty, and where it changes nothing the listener tries again.
  std::function<void(const Status&)> starved;
};

// Strangers cost one log line per second, whatever they send. Thread: the loop's, but open().
class Listener {
 public:
  // Thread: any. Fails: System naming the address, InvalidArgument where it stands for all.
  static Result<std::unique_ptr<Listener>> open(IoThread& io, ListenerOptions options);
  // Stops listening and ends all half-open connections. In a forked child: nothing.
  ~Listener();

  const Endpoint& endpoint() const noexcept { return endpoint_; }
  size_t half_open() const noexcept;
  uint64_t refused() const noexcept;

  struct Impl;

 private:
  Listener(std::shared_ptr<Impl> impl, Endpoint endpoint);
  ForkGuard fork_;
  std::shared_ptr<Impl> impl_;
  Endpoint endpoint_;
};

}  // namespace farandole::net

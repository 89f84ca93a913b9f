#pragma once
// connect_to: reaches a server that may not be there yet, and proves the secret both ways.
// Blocks; for the threads of callers, never for the loop's.

#include <string>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/net/auth.h"
#include "core/net/endpoint.h"
#include "core/net/fd_io.h"

namespace farandole::net {

// A connected socket (non-blocking, close-on-exec, no delay) whose other end is known.
struct Established {
  Fd fd;
  Hello hello;  // the client's
  SessionKeys keys;
  uint64_t server_incarnation = 0;
};

struct ConnectSpec {
  Endpoint to;
  ClientParams client;
  Duration handshake_timeout;  // for one attempt
};

// Tries again, with pauses of 10 ms growing to 200 ms, while nobody listens, the connection breaks
// or the server says "not yet". Fails: Timeout naming the last cause; at once where trying again
// cannot help: as Handshake (Mismatch, InvalidArgument) and resolve().
Result<Established> connect_to(const ConnectSpec& spec, TimePoint deadline);

// Options that every connection has: non-blocking, no delay. Fails: System.
Status prepare_socket(int fd);

}  // namespace farandole::net

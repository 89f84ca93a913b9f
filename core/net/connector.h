#pragma once
// connect_to: reaches a server that may not be there yet, and proves the secret both ways.
// Blocks; for the threads of callers, never for the loop's.

#include <functional>
#include <string>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/net/auth.h"
#include "core/net/endpoint.h"
#include "core/net/fd_io.h"

namespace farandole::net {

// A connected socket (non-blocking, close-on-exec, no delay) whose other end is known.
struct Established {
  UniqueFd fd;
  Hello hello;  // the client's
  SessionKeys keys;
  uint64_t server_incarnation = 0;
  // At a listener: how many hellos it had answered when it answered this one, and so in which order
  // a client made its connections. The proofs that follow may come in any order; but a client that
  // tries again does so after the answer to its hello before, and so does a process that takes
  // the place of one which died.
  uint64_t order = 0;
};

struct ConnectSpec {
  Endpoint to;
  ClientParams client;
  // For one attempt to reach the server, and then for its answer; the latter gets twice as long
  // each time it was too short.
  Duration handshake_timeout;
  // Asked on the calling thread every kGiveUpPeriod while nobody answers: true ends it. May be
  // empty.
  std::function<bool()> give_up;
  LookupLimits::Resolver resolver = getaddrinfo;  // tests replace it
};

// Tries again, with pauses of 4 ms growing by a quarter to 200 ms, while nobody listens, the
// connection breaks or the server says "not yet". Fails: Timeout naming the last cause; Aborted
// when it gives up; at once where trying again cannot help: as Handshake (Mismatch,
// InvalidArgument) and look_up(), and System where this process lacks descriptors, say.
Result<Established> connect_to(const ConnectSpec& spec, TimePoint deadline);

// Options that every connection has: non-blocking, no delay. Fails: System.
Status prepare_socket(int fd);

}  // namespace farandole::net

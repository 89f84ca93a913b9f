#pragma once
// Deadline-bounded I/O on plain connected sockets, for threads that may block. Never raises
// SIGPIPE.

#include <span>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/base/unique_fd.h"
#include "core/net/auth.h"

namespace farandole::net {

// Until all is sent. Fails: Timeout, PeerLost (closed or reset), System.
Status send_all(int fd, ByteSpan bytes, TimePoint deadline);
// At least one byte, at most `into`. Fails likewise.
Result<size_t> receive_some(int fd, std::span<uint8_t> into, TimePoint deadline);
// Drives a handshake of either role to its end; reads not one byte beyond it.
// Fails: as send_all and Handshake::status.
Status run_handshake(int fd, Handshake& handshake, TimePoint deadline);

}  // namespace farandole::net

#pragma once
// PeerHandshake: one data connection on its way from "connected" to "authenticated": the sans-I/O
// handshake of core/net with a socket under it.

#include <cstddef>

#include "collectives/gloo/transport/socket.h"
#include "core/base/clock.h"
#include "core/net/auth.h"

namespace farandole::gloo_transport {

// Thread: one at a time.
class PeerHandshake {
 public:
  enum class Progress { Going, Done, Closed, Refused };

  static PeerHandshake client(UniqueFd fd, net::ClientParams params);
  static PeerHandshake server(UniqueFd fd, net::ServerParams params, TimePoint deadline);

  int fd() const noexcept { return fd_.get(); }
  short interest() const noexcept;
  TimePoint deadline() const noexcept { return deadline_; }
  // Reads and writes what goes without blocking. Closed: the connection failed or ended before
  // its time. Refused: see status().
  Progress advance();
  const Status& status() const noexcept { return status_; }
  bool awaits_proof() const noexcept { return handshake_.awaits_proof(); }
  // Requires: Done.
  const net::Hello& hello() const noexcept { return handshake_.hello(); }
  UniqueFd take() noexcept { return std::move(fd_); }

 private:
  PeerHandshake(UniqueFd fd, net::Handshake handshake, bool connecting, TimePoint deadline);
  void collect_output();
  bool write_out();
  Progress read_in();

  UniqueFd fd_;
  net::Handshake handshake_;
  TimePoint deadline_;
  bool connecting_;
  net::Bytes out_;
  size_t written_ = 0;
  Status status_;
};

}  // namespace farandole::gloo_transport

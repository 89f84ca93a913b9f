#include "collectives/gloo/transport/peer_handshake.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/format.h"

namespace farandole::gloo_transport {
PeerHandshake PeerHandshake::client(UniqueFd fd, net::ClientParams params) {
  return {std::move(fd), net::Handshake::client(std::move(params)), true, TimePoint::max()};
}

PeerHandshake PeerHandshake::server(UniqueFd fd, net::ServerParams params, TimePoint deadline) {
  return {std::move(fd), net::Handshake::server(std::move(params)), false, deadline};
}

PeerHandshake::PeerHandshake(
    UniqueFd fd, net::Handshake handshake, bool connecting, TimePoint deadline)
    : fd_(std::move(fd)),
      handshake_(std::move(handshake)),
      deadline_(deadline),
      connecting_(connecting) {}

short PeerHandshake::interest() const noexcept {
  return static_cast<short>(POLLIN | (connecting_ || written_ < out_.size() ? POLLOUT : 0));
}

PeerHandshake::Progress PeerHandshake::advance() {
  if (connecting_) {
    pollfd writable{fd_.get(), POLLOUT, 0};
    if (FARANDOLE_FAIL_CALL("peer_handshake.advance.poll", ::poll(&writable, 1, 0)) <= 0)
      return Progress::Going;
    if (connect_error(fd_.get()) != 0)
      return Progress::Closed;
    connecting_ = false;
  }
  for (;;) {
    collect_output();
    if (!write_out())
      return Progress::Closed;
    if (written_ < out_.size())
      return Progress::Going;
    if (!handshake_.status().is_ok()) {
      status_ = handshake_.status();
      return Progress::Refused;
    }
    if (handshake_.done())
      return Progress::Done;
    const Progress progress = read_in();
    if (progress != Progress::Done)
      return progress;
  }
}

void PeerHandshake::collect_output() {
  const net::Bytes more = handshake_.output();
  out_.insert(out_.end(), more.begin(), more.end());
}

bool PeerHandshake::write_out() {
  while (written_ < out_.size()) {
    const ssize_t sent = FARANDOLE_FAIL_CALL(
        "peer_handshake.write_out.send",
        ::send(
            fd_.get(),
            out_.data() + written_,
            FARANDOLE_FAIL_SIZE("peer_handshake.write_out.send", out_.size() - written_),
            MSG_NOSIGNAL | MSG_DONTWAIT));
    if (sent < 0 && errno == EINTR)
      continue;
    if (sent < 0)
      return errno == EAGAIN || errno == EWOULDBLOCK;
    written_ += static_cast<size_t>(sent);
  }
  return true;
}

// One read, never beyond the handshake: what follows belongs to the link. Done: there may be more.
PeerHandshake::Progress PeerHandshake::read_in() {
  std::array<uint8_t, net::kMaxUnauthenticatedBytes> buffer;
  const size_t want = std::min(handshake_.wants(), buffer.size());
  const ssize_t got = FARANDOLE_FAIL_CALL(
      "peer_handshake.read_in.recv",
      ::recv(
          fd_.get(),
          buffer.data(),
          FARANDOLE_FAIL_SIZE("peer_handshake.read_in.recv", want),
          MSG_DONTWAIT));
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
    return Progress::Going;
  if (got <= 0)
    return Progress::Closed;
  handshake_.feed({buffer.data(), static_cast<size_t>(got)});
  return Progress::Done;
}

}  // namespace farandole::gloo_transport

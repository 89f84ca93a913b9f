#include "core/net/fd_io.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/timespec.h"

namespace farandole::net {
namespace {

Status wait_for(int fd, short events, TimePoint deadline) {
  while (true) {
    const Duration left = deadline - steady_now();
    if (left <= Duration::zero())
      return error(Code::Timeout, "the peer did not answer in time");
    const timespec timeout = to_timespec(left);
    pollfd entry{fd, events, 0};
    const int ready =
        FARANDOLE_FAIL_CALL("fd_io.wait_for.ppoll", ppoll(&entry, 1, &timeout, nullptr));
    if (ready > 0)
      return Status::ok();
    if (ready < 0 && errno != EINTR)
      return system_error("poll", errno);
  }
}

Status failure(const char* call, int why) {
  if (why == ECONNRESET || why == EPIPE)
    return error(Code::PeerLost, "the peer closed the connection");
  return system_error(call, why);
}

}  // namespace

Status send_all(int fd, ByteSpan bytes, TimePoint deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = FARANDOLE_FAIL_CALL(
        "fd_io.send_all.send",
        send(
            fd,
            bytes.data(),
            FARANDOLE_FAIL_SIZE("fd_io.send_all.send", bytes.size()),
            MSG_NOSIGNAL | MSG_DONTWAIT));
    if (sent >= 0)
      bytes = bytes.subspan(static_cast<size_t>(sent));
    else if (errno == EAGAIN)
      FARANDOLE_RETURN_IF_ERROR(wait_for(fd, POLLOUT, deadline));
    else if (errno != EINTR)
      return failure("send", errno);
  }
  return Status::ok();
}

Result<size_t> receive_some(int fd, std::span<uint8_t> into, TimePoint deadline) {
  while (true) {
    const ssize_t got = FARANDOLE_FAIL_CALL(
        "fd_io.receive_some.recv",
        recv(
            fd,
            into.data(),
            FARANDOLE_FAIL_SIZE("fd_io.receive_some.recv", into.size()),
            MSG_DONTWAIT));
    if (got > 0)
      return static_cast<size_t>(got);
    if (got == 0)
      return error(Code::PeerLost, "the peer closed the connection");
    if (errno == EAGAIN)
      FARANDOLE_RETURN_IF_ERROR(wait_for(fd, POLLIN, deadline));
    else if (errno != EINTR)
      return failure("recv", errno);
  }
}

Status run_handshake(int fd, Handshake& handshake, TimePoint deadline) {
  std::array<uint8_t, kMaxUnauthenticatedBytes> buffer;
  while (true) {
    const Bytes out = handshake.output();
    const Status sent = send_all(fd, out, deadline);
    if (handshake.done())
      return handshake.status().is_ok() ? sent : handshake.status();
    FARANDOLE_RETURN_IF_ERROR(sent);
    const Result<size_t> got =
        receive_some(fd, std::span(buffer).first(handshake.wants()), deadline);
    if (!got)
      return got.status();
    handshake.feed(ByteSpan(buffer).first(got.value()));
  }
}

}  // namespace farandole::net

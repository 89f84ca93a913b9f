#include "controller/launch/channel.h"

#include <sys/socket.h>

#include <cerrno>

#include "core/base/format.h"

namespace farandole::launch {

Result<std::pair<Channel, Channel>> Channel::make_pair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
    return system_error("socketpair", errno);
  return std::pair(Channel(UniqueFd(ends[0])), Channel(UniqueFd(ends[1])));
}

void Channel::send(const Message& message) {
  if (!is_open())
    return;
  outbox_.push_back(message);
  flush();
}

void Channel::flush() {
  while (!outbox_.empty()) {
    const ssize_t sent = ::send(fd_.get(), &outbox_.front(), sizeof(Message), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR)
      continue;
    if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS))
      return;
    if (sent < 0) {  // the reader is gone: receive() will say so
      outbox_.clear();
      return;
    }
    outbox_.pop_front();
  }
}

Channel::Receive Channel::receive(Message& message) {
  if (!is_open())
    return Receive::Closed;
  ssize_t got = 0;
  do got = recv(fd_.get(), &message, sizeof(Message), 0);
  while (got < 0 && errno == EINTR);
  if (got == static_cast<ssize_t>(sizeof(Message)))
    return Receive::Got;
  if (got < 0 && errno == EAGAIN)
    return Receive::Empty;
  close();
  return Receive::Closed;
}

void Channel::close() noexcept {
  fd_.reset();
  outbox_.clear();
}

}  // namespace farandole::launch

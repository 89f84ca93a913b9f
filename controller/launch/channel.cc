#include "controller/launch/channel.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/uninterrupted.h"

namespace farandole::launch {

std::optional<Message> decode_message(std::span<const uint8_t> bytes) {
  static_assert(std::is_trivially_copyable_v<Message>);
  if (bytes.size() != sizeof(Message))
    return std::nullopt;
  // Looked at before they are taken for an enumerator and a truth value.
  int32_t kind = 0;
  std::memcpy(&kind, bytes.data() + offsetof(Message, kind), sizeof(kind));
  const bool known = kind >= static_cast<int32_t>(MessageKind::Signal) &&
                     kind <= static_cast<int32_t>(MessageKind::OutputUnreadable);
  if (!known || bytes[offsetof(Message, flag)] > 1)
    return std::nullopt;
  Message message;
  std::memcpy(&message, bytes.data(), sizeof(Message));
  return message;
}

Result<std::pair<Channel, Channel>> Channel::make_pair() {
  int ends[2];
  if (FARANDOLE_FAIL_CALL(
          "channel.make_pair.socketpair",
          socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends)) != 0)
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
    const ssize_t sent = FARANDOLE_FAIL_CALL(
        "channel.flush.send", ::send(fd_.get(), &outbox_.front(), sizeof(Message), MSG_NOSIGNAL));
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
  std::array<uint8_t, sizeof(Message)> bytes;
  const ssize_t got = uninterrupted([&] {
    return FARANDOLE_FAIL_CALL(
        "channel.receive.recv", recv(fd_.get(), bytes.data(), bytes.size(), MSG_TRUNC));
  });
  if (got == static_cast<ssize_t>(bytes.size())) {
    if (const auto decoded = decode_message(bytes)) {
      message = *decoded;
      return Receive::Got;
    }
  }
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

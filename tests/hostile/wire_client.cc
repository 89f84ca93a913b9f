#include "tests/hostile/wire_client.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace farandole::hostile {
namespace {

bool readable(int fd, TimePoint deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_now()).count();
  pollfd entry{fd, POLLIN, 0};
  return poll(&entry, 1, static_cast<int>(std::max<int64_t>(left, 0))) > 0;
}

}  // namespace

std::optional<WireClient> WireClient::connect(const net::Endpoint& to) {
  const auto addresses = net::resolve(to);
  const net::SocketAddress& address = addresses.value().front();
  UniqueFd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.get(), address.get(), address.size) != 0)
    return std::nullopt;
  return WireClient(std::move(fd));
}

bool WireClient::send(ByteSpan bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0)
      return false;
    bytes = bytes.subspan(static_cast<size_t>(sent));
  }
  return true;
}

Bytes WireClient::receive(size_t count, Duration patience) const {
  const TimePoint deadline = steady_now() + patience;
  Bytes bytes(count);
  size_t have = 0;
  while (have < count && readable(fd_.get(), deadline)) {
    const ssize_t got = recv(fd_.get(), bytes.data() + have, count - have, 0);
    if (got <= 0)
      break;
    have += static_cast<size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

std::optional<Bytes> WireClient::receive_to_end(Duration patience) const {
  const TimePoint deadline = steady_now() + patience;
  Bytes bytes;
  std::array<uint8_t, 4096> part;
  while (readable(fd_.get(), deadline)) {
    const ssize_t got = recv(fd_.get(), part.data(), part.size(), 0);
    if (got <= 0)
      return bytes;
    bytes.insert(bytes.end(), part.begin(), part.begin() + got);
  }
  return std::nullopt;
}

Bytes WireClient::receive_some(Duration patience) const {
  Bytes part(64 << 10);
  const bool any = readable(fd_.get(), steady_now() + patience);
  const ssize_t got = any ? recv(fd_.get(), part.data(), part.size(), 0) : 0;
  part.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return part;
}

void WireClient::make_blocking() const {
  fcntl(fd_.get(), F_SETFL, fcntl(fd_.get(), F_GETFL) & ~O_NONBLOCK);
}

void WireClient::finish_sending() const {
  ::shutdown(fd_.get(), SHUT_WR);
}

void WireClient::reset() {
  const linger at_once{1, 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  fd_.reset();
}

}  // namespace farandole::hostile

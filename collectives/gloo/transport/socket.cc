#include "collectives/gloo/transport/socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "core/base/failpoint.h"
#include "core/base/fork_closed.h"
#include "core/base/format.h"

namespace farandole::gloo_transport {
namespace {

// Where it is refused, small frames are late, no more.
void no_delay(int fd) noexcept {
  const int on = 1;
  (void)FARANDOLE_FAIL_CALL(
      "gloo_socket.no_delay.setsockopt",
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
}

const sockaddr* raw(const SocketAddress& address) noexcept {
  return reinterpret_cast<const sockaddr*>(&address.storage);
}

SocketAddress first_of(const AddressList& found) noexcept {
  SocketAddress address;
  address.bytes = found->ai_addrlen;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  return address;
}

}  // namespace

uint16_t SocketAddress::port() const noexcept {
  return family() == AF_INET6 ? ntohs(reinterpret_cast<const sockaddr_in6&>(storage).sin6_port)
                              : ntohs(reinterpret_cast<const sockaddr_in&>(storage).sin_port);
}

void SocketAddress::set_port(uint16_t port) noexcept {
  if (family() == AF_INET6)
    reinterpret_cast<sockaddr_in6&>(storage).sin6_port = htons(port);
  else
    reinterpret_cast<sockaddr_in&>(storage).sin_port = htons(port);
}

bool SocketAddress::is_wildcard() const noexcept {
  if (family() != AF_INET6)
    return reinterpret_cast<const sockaddr_in&>(storage).sin_addr.s_addr == INADDR_ANY;
  const in6_addr& host = reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr;
  return IN6_IS_ADDR_UNSPECIFIED(&host) ||
         (IN6_IS_ADDR_V4MAPPED(&host) && host.s6_addr32[3] == INADDR_ANY);
}

std::string SocketAddress::to_string() const {
  char text[NI_MAXHOST] = "?";
  // With the zone of a link-local address, which the peer may need to name otherwise.
  ::getnameinfo(raw(*this), bytes, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  return family() == AF_INET6 ? fmt::format("[{}]:{}", text, port())
                              : fmt::format("{}:{}", text, port());
}

Result<SocketAddress> resolve(const std::string& host, uint16_t port, const LookupLimits& limits) {
  const Result<AddressList> found = look_up(host, port, limits);
  if (found)
    return first_of(found.value());
  const Code code = found.status().code();
  return error(
      code == Code::System ? Code::InvalidArgument : code,
      "address \"{}\": {}",
      printable(host, 256),
      found.status().message());
}

Result<SocketAddress> parse_endpoint(const std::string& text) {
  const auto wrong = [&] {
    return error(
        Code::InvalidArgument,
        "\"{}\" is no endpoint (an address and a port are wanted, \"192.0.2.1:80\")",
        printable(text, 256));
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0)
    return wrong();
  std::string host = text.substr(0, colon);
  if (host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end || port == 0)
    return wrong();
  const Result<AddressList> found = look_up_number(host, port);
  if (!found)
    return found.status().code() == Code::InvalidArgument ? wrong() : found.status();
  return first_of(found.value());
}

Result<UniqueFd> listen_on(const SocketAddress& address, int backlog) {
  if (address.is_wildcard())
    return error(
        Code::InvalidArgument,
        "bind to {}: that is every interface of this host; the address of the job's one is wanted",
        address.to_string());
  UniqueFd fd(closed_on_fork([&] {
    return FARANDOLE_FAIL_CALL(
        "gloo_socket.listen_on.socket",
        ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  }));
  if (!fd)
    return system_error("socket", errno);
  if (FARANDOLE_FAIL_CALL(
          "gloo_socket.listen_on.bind", ::bind(fd.get(), raw(address), address.bytes)) != 0)
    return system_error(fmt::format("bind to {}", address.to_string()), errno);
  if (FARANDOLE_FAIL_CALL("gloo_socket.listen_on.listen", ::listen(fd.get(), backlog)) != 0)
    return system_error(fmt::format("listen on {}", address.to_string()), errno);
  return fd;
}

Result<SocketAddress> local_address(int fd) {
  SocketAddress address;
  address.bytes = sizeof address.storage;
  if (FARANDOLE_FAIL_CALL(
          "gloo_socket.local_address.getsockname",
          ::getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.bytes)) != 0)
    return system_error("getsockname", errno);
  return address;
}

Result<UniqueFd> start_connect(const SocketAddress& address) {
  UniqueFd fd(closed_on_fork([&] {
    return FARANDOLE_FAIL_CALL(
        "gloo_socket.start_connect.socket",
        ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  }));
  if (!fd)
    return system_error("socket", errno);
  no_delay(fd.get());
  if (FARANDOLE_FAIL_CALL(
          "gloo_socket.start_connect.connect", ::connect(fd.get(), raw(address), address.bytes)) !=
          0 &&
      errno != EINPROGRESS && errno != EINTR)
    return system_error(fmt::format("connect to {}", address.to_string()), errno);
  return fd;
}

int connect_error(int fd) noexcept {
  int value = 0;
  socklen_t bytes = sizeof value;
  return FARANDOLE_FAIL_CALL(
             "gloo_socket.connect_error.getsockopt",
             ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &bytes)) == 0
             ? value
             : errno;
}

Result<UniqueFd> accept_one(int listener) {
  for (;;) {
    UniqueFd fd(closed_on_fork([&] {
      return FARANDOLE_FAIL_CALL(
          "gloo_socket.accept_one.accept4",
          ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    }));
    if (fd) {
      no_delay(fd.get());
      return fd;
    }
    switch (errno) {
      case EAGAIN:
        return UniqueFd();
      case EINTR:
      case ECONNABORTED:
      case EPROTO:
        continue;
      default:
        return system_error("accept", errno);
    }
  }
}

}  // namespace farandole::gloo_transport

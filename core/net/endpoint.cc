#include "core/net/endpoint.h"

#include <netdb.h>
#include <netinet/in.h>

#include <charconv>
#include <cstring>
#include <memory>

#include "core/base/failpoint.h"
#include "core/base/format.h"

namespace farandole::net {
namespace {

Status malformed(std::string_view text) {
  return error(
      Code::InvalidArgument,
      "\"{}\" is no endpoint; host:port is wanted, such as 10.0.0.1:29500 or [::1]:29500",
      printable(text, 128));
}

}  // namespace

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0)
    return malformed(text);
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  const bool bracketed = host.front() == '[';
  if (bracketed) {
    if (host.size() < 3 || host.back() != ']')
      return malformed(text);
    host = host.substr(1, host.size() - 2);
  }
  if ((host.find(':') != std::string_view::npos) != bracketed)
    return malformed(text);
  uint16_t port = 0;
  const auto [end, failed] = std::from_chars(digits.begin(), digits.end(), port);
  if (failed != std::errc() || end != digits.end() || host.find('\0') != std::string_view::npos)
    return malformed(text);
  return Endpoint{std::string(host), port};
}

std::string Endpoint::to_string() const {
  const bool numeric_v6 = host.find(':') != std::string::npos;
  return numeric_v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Endpoint SocketAddress::endpoint() const {
  char host[NI_MAXHOST] = "";
  char service[NI_MAXSERV] = "0";
  getnameinfo(
      get(), size, host, sizeof(host), service, sizeof(service), NI_NUMERICHOST | NI_NUMERICSERV);
  Endpoint endpoint{host, 0};
  std::from_chars(service, service + std::strlen(service), endpoint.port);
  return endpoint;
}

bool SocketAddress::is_wildcard() const noexcept {
  if (family() == AF_INET6) {
    const in6_addr& host = reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr;
    return IN6_IS_ADDR_UNSPECIFIED(&host) ||
           (IN6_IS_ADDR_V4MAPPED(&host) && host.s6_addr32[3] == INADDR_ANY);
  }
  return reinterpret_cast<const sockaddr_in&>(storage).sin_addr.s_addr == INADDR_ANY;
}

Result<std::vector<SocketAddress>> resolve(const Endpoint& endpoint, const LookupLimits& limits) {
  const Result<AddressList> found = look_up(endpoint.host, endpoint.port, limits);
  if (!found)
    return found.status();
  std::vector<SocketAddress> addresses;
  for (const addrinfo* entry = found.value().get(); entry != nullptr; entry = entry->ai_next) {
    SocketAddress address;
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.size = entry->ai_addrlen;
    addresses.push_back(address);
  }
  return addresses;
}

Result<SocketAddress> local_end(int fd) {
  SocketAddress address;
  address.size = sizeof(address.storage);
  if (FARANDOLE_FAIL_CALL(
          "endpoint.local_end.getsockname",
          getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size)) != 0)
    return system_error("getsockname", errno);
  return address;
}

}  // namespace farandole::net

#pragma once
// Sockets as values: owned descriptors, and the few calls on them that connecting needs.

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <utility>

#include "core/base/name_lookup.h"
#include "core/base/status.h"
#include "core/base/unique_fd.h"

namespace farandole::gloo_transport {

// An IPv4 or IPv6 address with port.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t bytes = 0;

  sa_family_t family() const noexcept { return storage.ss_family; }
  uint16_t port() const noexcept;
  void set_port(uint16_t port) noexcept;
  // Stands for every interface of the host (0.0.0.0, ::).
  bool is_wildcard() const noexcept;
  // "192.0.2.1:80", "[2001:db8::1]:80"
  std::string to_string() const;
};

// The first address of a host; without limits only numbers are found. Fails: InvalidArgument naming
// it; Timeout and Aborted as look_up.
Result<SocketAddress> resolve(
    const std::string& host, uint16_t port, const LookupLimits& limits = {});
// Reads "192.0.2.1:80" or "[::1]:80" without any resolver. Fails: InvalidArgument; System.
Result<SocketAddress> parse_endpoint(const std::string& text);

// All sockets are non-blocking, closed on exec, and without Nagle's delay.
// Listens on `address`, port 0 meaning any. Fails: System naming the address, InvalidArgument where
// it stands for every interface.
Result<UniqueFd> listen_on(const SocketAddress& address, int backlog);
Result<SocketAddress> local_address(int fd);
// Starts to connect; complete when the socket is writable and connect_error() is 0.
Result<UniqueFd> start_connect(const SocketAddress& address);
int connect_error(int fd) noexcept;
// An empty UniqueFd where nobody waits; peers that gave up meanwhile are skipped. Fails: System.
Result<UniqueFd> accept_one(int listener);

}  // namespace farandole::gloo_transport

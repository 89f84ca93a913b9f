#pragma once
// Endpoint: "host:port" as people write it, and what it becomes for the kernel.

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/name_lookup.h"
#include "core/base/status.h"

namespace farandole::net {

struct Endpoint {
  std::string host;  // name or address; IPv6 without brackets
  uint16_t port = 0;

  // "name:80", "10.0.0.1:80", "[::1]:80". Fails: InvalidArgument.
  static Result<Endpoint> parse(std::string_view text);
  // The form parse() reads.
  std::string to_string() const;
  bool operator==(const Endpoint&) const = default;
};

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const noexcept { return storage.ss_family; }
  // Host as a number, and port.
  Endpoint endpoint() const;
  // Stands for every interface of the host (0.0.0.0, ::): nothing of ours listens there.
  bool is_wildcard() const noexcept;
};

// All addresses of the host. Asks no name server where the host is a number; without limits only
// numbers are found. Fails: as look_up.
Result<std::vector<SocketAddress>> resolve(
    const Endpoint& endpoint, const LookupLimits& limits = {});

// This side's end of a connected socket. Fails: System.
Result<SocketAddress> local_end(int fd);

}  // namespace farandole::net

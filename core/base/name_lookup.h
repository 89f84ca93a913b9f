#pragma once
// look_up: asks the system's resolver for the addresses of a host, with a deadline, which it has
// none of itself: a name server that is gone holds it up for half a minute and more.

#include <netdb.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/base/status.h"

namespace farandole {

// How often whoever waits in init() is asked whether it gives up.
inline constexpr Duration kGiveUpPeriod = std::chrono::milliseconds(100);

struct LookupLimits {
  // For names. Numbers are read at once, whatever stands here.
  TimePoint deadline{};
  // Asked on the calling thread every kGiveUpPeriod while the resolver is silent: true ends it. May
  // be empty.
  std::function<bool()> give_up;
  // As getaddrinfo(3), which stands here but in tests. Called on a thread of its own, which it may
  // hold up beyond the deadline: it owns what it uses.
  using Resolver = std::function<int(const char*, const char*, const addrinfo*, addrinfo**)>;
  Resolver resolver = getaddrinfo;
};

struct FreeAddresses {
  void operator()(addrinfo* list) const noexcept { freeaddrinfo(list); }
};
using AddressList = std::unique_ptr<addrinfo, FreeAddresses>;

// At least one address of the host, for stream sockets. Thread: any that may block.
// Fails: System naming the host; Timeout; Aborted when it gives up.
Result<AddressList> look_up(const std::string& host, uint16_t port, const LookupLimits& limits);
// Where the host is a number. Fails: InvalidArgument where it is none; System.
Result<AddressList> look_up_number(const std::string& host, uint16_t port);

}  // namespace farandole

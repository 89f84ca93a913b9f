#pragma once
// Addresses of hosts, and which of them the ranks of a job use.

#include <string>
#include <vector>

#include "controller/launch/outpost_frames.h"
#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/base/unique_fd.h"

namespace farandole::launch {

// Those of this host's interfaces that are up and that another host may reach: no loopback, no
// link-local ones. Fails: System.
Result<std::vector<HostAddress>> own_addresses();

// Where rank 0's host may listen, the most promising first, at most kMaxCandidates: on `interfaces`
// where any are named, else where ssh found the host (`preferred`), then anywhere.
inline constexpr size_t kMaxCandidates = 16;
std::vector<std::string> candidate_addresses(
    const std::vector<HostAddress>& addresses,
    const std::vector<std::string>& preferred,
    const std::vector<std::string>& interfaces);

// The address of the first of `interfaces` that `host` has. Fails: InvalidArgument, naming those
// that it has.
Result<std::string> address_on(
    const std::vector<HostAddress>& addresses,
    const std::vector<std::string>& interfaces,
    const std::string& host);

// "eth0,ib0": names as Linux has them. Fails: InvalidArgument.
Result<std::vector<std::string>> parse_interfaces(std::string_view text);

// A port that is kept for rank 0, and until everybody has tried it a listener behind it.
struct HeldPort {
  UniqueFd holder;  // bound with SO_REUSEPORT, not listening
  UniqueFd listener;
  std::string endpoint;
  std::string refused;  // why there is none
};

// Fails: System. `address` is a number; "" is loopback, which needs no trying: no listener.
Result<HeldPort> hold_port(const std::string& address);

// For each of `endpoints` "" where it takes a connection before the deadline, else why it does not.
// Blocks until then at most.
std::vector<std::string> try_endpoints(
    const std::vector<std::string>& endpoints, TimePoint deadline);

}  // namespace farandole::launch

#pragma once
// Addresses of hosts, and which of them the ranks of a job use.

#include <poll.h>

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
// that it has behind `flag`, which named the others.
Result<std::string> address_on(
    const std::vector<HostAddress>& addresses,
    const std::vector<std::string>& interfaces,
    const std::string& host,
    const std::string& flag);

// "eth0,ib0": names as Linux has them. Fails: InvalidArgument.
Result<std::vector<std::string>> parse_interfaces(std::string_view text);

// A port that is kept for rank 0, and until everybody has tried it a listener behind it. Who holds
// one waits in a loop and lets await_strangers and turn_away_strangers do their part there: a queue
// that nobody empties is filled by 4096 strangers, and then those who try the port get no answer.
struct HeldPort {
  UniqueFd holder;  // bound with SO_REUSEPORT, not listening
  UniqueFd listener;
  std::string endpoint;
  std::string refused;  // why there is none
  bool tired = false;   // the last turn failed to take a connection: the next wait is without it
};

// Fails: System. `address` is a number; "" is loopback, which needs no trying: no listener.
Result<HeldPort> hold_port(const std::string& address);

// Adds what shows who connects to `ports`, before the wait of a loop's turn.
void await_strangers(const std::vector<HeldPort>& ports, std::vector<pollfd>& fds);

// After that wait: takes some of the connections and closes them. Who tries a port has its answer
// with the connection; nothing is read and nothing said.
void turn_away_strangers(std::vector<HeldPort>& ports);

// For each of `endpoints` "" where it takes a connection before the deadline, else why it does not.
// Blocks until then at most, and turns strangers away from the `held` ports meanwhile.
std::vector<std::string> try_endpoints(
    const std::vector<std::string>& endpoints, std::vector<HeldPort>& held, TimePoint deadline);

}  // namespace farandole::launch

#include "controller/launch/addresses.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <optional>

#include "controller/launch/poll_wait.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"

namespace farandole::launch {
namespace {

constexpr size_t kMaxInterfaces = 16;
constexpr const char* kBind = "bind";
// Of each port: a crowd leaves the loop its turns.
constexpr int kAcceptsPerTurn = 64;

// "" for what no other host reaches, or what no socket could be bound to without more.
std::string address_text(const sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address->sa_family == AF_INET) {
    const in_addr& number = reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
    const uint32_t host = ntohl(number.s_addr);
    const bool local = (host >> 24) == 127 || (host >> 16) == 0xA9FE;
    return local ? "" : inet_ntop(AF_INET, &number, text.data(), text.size());
  }
  if (address->sa_family != AF_INET6)
    return "";
  const in6_addr& number = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
  const bool local = IN6_IS_ADDR_LOOPBACK(&number) || IN6_IS_ADDR_LINKLOCAL(&number);
  return local ? "" : inet_ntop(AF_INET6, &number, text.data(), text.size());
}

// An address as the kernel takes it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// Nothing where `text` is no number of an address.
std::optional<SocketAddress> socket_address(const std::string& text, uint16_t port) {
  SocketAddress address;
  auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
  if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    address.size = sizeof v4;
    return address;
  }
  if (inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) != 1)
    return std::nullopt;
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  address.size = sizeof v6;
  return address;
}

// "10.0.0.1:29500" or "[::1]:29500".
std::optional<SocketAddress> parse_endpoint(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos)
    return std::nullopt;
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data() + colon + 1, end, port);
  return code == std::errc() && stop == end ? socket_address(host, port) : std::nullopt;
}

Result<uint16_t> port_of(const UniqueFd& fd) {
  SocketAddress address;
  address.size = sizeof address.storage;
  if (FARANDOLE_FAIL_CALL(
          "addresses.port_of.getsockname",
          getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address.storage), &address.size)) != 0)
    return system_error("getsockname", errno);
  // It stands at the same place in both families.
  return ntohs(reinterpret_cast<const sockaddr_in&>(address.storage).sin_port);
}

// A socket bound to `address`, or the call that was refused and why.
struct Bound {
  UniqueFd fd;
  const char* refused = nullptr;
  int why = 0;
};

// Nothing ever waits in accept.
Bound bind_shared(const SocketAddress& address) {
  UniqueFd fd(FARANDOLE_FAIL_CALL(
      "addresses.bind_shared.socket",
      socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
  if (!fd)
    return {{}, "socket", errno};
  const int on = 1;
  if (FARANDOLE_FAIL_CALL(
          "addresses.bind_shared.setsockopt",
          setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on)) != 0)
    return {{}, "setsockopt(SO_REUSEPORT)", errno};
  if (FARANDOLE_FAIL_CALL(
          "addresses.bind_shared.bind", bind(fd.get(), address.get(), address.size)) != 0)
    return {{}, kBind, errno};
  return {std::move(fd)};
}

// Nobody listens at the port until listen_at has been called.
Result<HeldPort> held(Bound bound, const std::string& address) {
  if (bound.refused)
    return system_error(
        bound.refused == kBind ? fmt::format("bind to {}", address) : bound.refused, bound.why);
  const auto port = port_of(bound.fd);
  if (!port)
    return port.status();
  const bool v6 = address.find(':') != std::string::npos;
  const std::string host = v6 ? "[" + address + "]" : address;
  return HeldPort{std::move(bound.fd), {}, fmt::format("{}:{}", host, port.value()), {}};
}

Result<HeldPort> hold_loopback() {
  Bound bound = bind_shared(*socket_address("127.0.0.1", 0));
  if (bound.why != EADDRNOTAVAIL && bound.why != EAFNOSUPPORT)
    return held(std::move(bound), "127.0.0.1");
  return held(bind_shared(*socket_address("::1", 0)), "::1");  // a machine without IPv4
}

Status listen_at(HeldPort& port) {
  Bound bound = bind_shared(*parse_endpoint(port.endpoint));
  if (!bound.refused &&
      FARANDOLE_FAIL_CALL("addresses.listen_at.listen", listen(bound.fd.get(), SOMAXCONN)) != 0)
    bound = {{}, "listen", errno};
  if (bound.refused)
    return system_error(fmt::format("{} at {}", bound.refused, port.endpoint), bound.why);
  port.listener = std::move(bound.fd);
  return Status::ok();
}

// A connection that is being made, or why there is none.
struct Attempt {
  UniqueFd fd;
  std::string refused;
};

Attempt begin_connect(const std::string& text) {
  const auto at = parse_endpoint(text);
  if (!at)
    return {{}, "no endpoint"};
  UniqueFd fd(FARANDOLE_FAIL_CALL(
      "addresses.begin_connect.socket",
      socket(at->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
  if (!fd)
    return {{}, system_error("socket", errno).message()};
  const bool begun =
      FARANDOLE_FAIL_CALL(
          "addresses.begin_connect.connect", connect(fd.get(), at->get(), at->size)) == 0 ||
      errno == EINPROGRESS;
  if (!begun)
    return {{}, system_error("connect", errno).message()};
  return {std::move(fd), "no answer"};
}

// "" where the connection is made, else why it is not.
std::string outcome_of(const UniqueFd& fd) {
  int why = 0;
  socklen_t size = sizeof why;
  if (FARANDOLE_FAIL_CALL(
          "addresses.outcome_of.getsockopt",
          getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &why, &size)) != 0)
    return system_error("getsockopt(SO_ERROR)", errno).message();
  return why == 0 ? "" : system_error("connect", why).message();
}

void turn_away_from(HeldPort& port) {
  port.tired = false;
  for (int i = 0; port.listener && i < kAcceptsPerTurn; ++i) {
    const UniqueFd stranger(FARANDOLE_FAIL_CALL(
        "addresses.turn_away_from.accept4",
        accept4(port.listener.get(), nullptr, nullptr, SOCK_CLOEXEC)));
    if (stranger || errno == EINTR || errno == ECONNABORTED)
      continue;
    port.tired = errno != EAGAIN;
    return;
  }
}

bool is_among(const std::string& word, const std::vector<std::string>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

Result<std::vector<HostAddress>> own_addresses() {
  ifaddrs* list = nullptr;
  if (FARANDOLE_FAIL_CALL("addresses.own_addresses.getifaddrs", getifaddrs(&list)) != 0)
    return system_error("getifaddrs", errno);
  std::vector<HostAddress> found;
  for (const ifaddrs* entry = list; entry; entry = entry->ifa_next) {
    if (!entry->ifa_addr || !(entry->ifa_flags & IFF_UP))
      continue;
    const std::string text = address_text(entry->ifa_addr);
    if (!text.empty())
      found.push_back({entry->ifa_name, text});
  }
  freeifaddrs(list);
  return found;
}

std::vector<std::string> candidate_addresses(
    const std::vector<HostAddress>& addresses,
    const std::vector<std::string>& preferred,
    const std::vector<std::string>& interfaces) {
  std::vector<std::string> candidates;
  const auto add = [&](const std::string& address) {
    if (candidates.size() < kMaxCandidates && !is_among(address, candidates))
      candidates.push_back(address);
  };
  for (const std::string& interface : interfaces) {
    for (const HostAddress& own : addresses) {
      if (own.interface == interface)
        add(own.address);
    }
  }
  if (!interfaces.empty())
    return candidates;
  for (const HostAddress& own : addresses) {
    if (is_among(own.address, preferred))
      add(own.address);
  }
  for (const HostAddress& own : addresses) add(own.address);
  return candidates;
}

Result<std::string> address_on(
    const std::vector<HostAddress>& addresses,
    const std::vector<std::string>& interfaces,
    const std::string& host,
    const std::string& flag) {
  const auto found = candidate_addresses(addresses, {}, interfaces);
  if (!found.empty())
    return found.front();
  std::string there;
  for (const HostAddress& own : addresses)
    there += fmt::format("{}{} ({})", there.empty() ? "" : ", ", own.interface, own.address);
  return error(
      Code::InvalidArgument,
      "{}: host {} has none of the interfaces named, or none that other hosts reach (no loopback "
      "is); it has {}",
      flag,
      host,
      there.empty() ? "none that other hosts reach" : printable(there, 400));
}

Result<std::vector<std::string>> parse_interfaces(std::string_view text) {
  std::vector<std::string> names;
  while (true) {
    const size_t end = std::min(text.find(','), text.size());
    const std::string_view name = text.substr(0, end);
    const bool right = !name.empty() && name.size() < IFNAMSIZ && names.size() < kMaxInterfaces &&
                       std::all_of(name.begin(), name.end(), [](char ch) {
                         return ch > ' ' && ch < 0x7F && ch != '/';
                       });
    if (!right)
      return error(
          Code::InvalidArgument,
          "\"{}\" is not valid: names of at most {} interfaces are wanted, as in eth0,ib0 (ip link "
          "shows them)",
          printable(name, 80),
          kMaxInterfaces);
    names.emplace_back(name);
    if (end == text.size())
      return names;
    text.remove_prefix(end + 1);
  }
}

Result<HeldPort> hold_port(const std::string& address) {
  if (address.empty())
    return hold_loopback();
  const auto at = socket_address(address, 0);
  if (!at)
    return error(Code::System, "\"{}\" is no address", printable(address, 80));
  auto port = held(bind_shared(*at), address);
  if (!port)
    return port;
  FARANDOLE_RETURN_IF_ERROR(listen_at(port.value()));
  return port;
}

void await_strangers(const std::vector<HeldPort>& ports, std::vector<pollfd>& fds) {
  for (const HeldPort& port : ports)
    fds.push_back({port.tired ? -1 : port.listener.get(), POLLIN, 0});
}

void turn_away_strangers(std::vector<HeldPort>& ports) {
  for (HeldPort& port : ports) turn_away_from(port);
}

std::vector<std::string> try_endpoints(
    const std::vector<std::string>& endpoints, std::vector<HeldPort>& held, TimePoint deadline) {
  std::vector<Attempt> attempts;
  std::vector<pollfd> tried;
  for (const std::string& endpoint : endpoints) {
    attempts.push_back(begin_connect(endpoint));
    tried.push_back({attempts.back().fd.get(), POLLOUT, 0});
  }
  const auto open = [](const pollfd& entry) { return entry.fd >= 0; };
  while (steady_now() < deadline && std::any_of(tried.begin(), tried.end(), open)) {
    std::vector<pollfd> fds = tried;
    await_strangers(held, fds);
    poll_until(fds, deadline);
    turn_away_strangers(held);
    for (size_t i = 0; i < tried.size(); ++i) {
      if (tried[i].fd < 0 || !fds[i].revents)
        continue;
      attempts[i].refused = outcome_of(attempts[i].fd);
      tried[i].fd = -1;
    }
  }
  std::vector<std::string> refused;
  for (Attempt& attempt : attempts) refused.push_back(std::move(attempt.refused));
  return refused;
}

}  // namespace farandole::launch

#include "core/net/connector.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "core/base/format.h"

namespace farandole::net {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr Duration kFirstPause = milliseconds(10);
constexpr Duration kLongestPause = milliseconds(200);

void pause_for(Duration span) {
  const timespec timeout{
      duration_cast<std::chrono::seconds>(span).count(), (span % std::chrono::seconds(1)).count()};
  ppoll(nullptr, 0, &timeout, nullptr);
}

Status finish_connect(int fd, TimePoint deadline) {
  while (true) {
    pollfd entry{fd, POLLOUT, 0};
    const auto left = duration_cast<milliseconds>(deadline - steady_now()).count();
    if (left <= 0)
      return error(Code::Timeout, "no answer");
    const int ready = poll(&entry, 1, static_cast<int>(std::min<int64_t>(left, 60'000)));
    if (ready > 0)
      break;
    if (ready < 0 && errno != EINTR)
      return system_error("poll", errno);
  }
  int failure = 0;
  socklen_t size = sizeof(failure);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
    failure = errno;
  return failure == 0 ? Status::ok() : system_error("connect", failure);
}

Result<Fd> open_socket(const SocketAddress& to, TimePoint deadline) {
  Fd fd(socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd)
    return system_error("socket", errno);
  FARANDOLE_RETURN_IF_ERROR(prepare_socket(fd.get()));
  if (connect(fd.get(), to.get(), to.size) != 0) {
    if (errno != EINPROGRESS)
      return system_error("connect", errno);
    FARANDOLE_RETURN_IF_ERROR(finish_connect(fd.get(), deadline));
  }
  // A socket that connects to an unused port of its own host can meet itself.
  const Result<SocketAddress> local = local_end(fd.get());
  if (local && local.value().endpoint() == to.endpoint())
    return error(Code::System, "connect: nobody listens");
  return fd;
}

Result<Fd> open_any(const std::vector<SocketAddress>& addresses, TimePoint deadline) {
  Status why = error(Code::System, "the host has no address");
  for (const SocketAddress& address : addresses) {
    Result<Fd> fd = open_socket(address, deadline);
    if (fd)
      return fd;
    why = fd.status();
  }
  return why;
}

struct Attempt {
  Result<Established> outcome;
  bool again = true;
};

Attempt attempt(
    const ConnectSpec& spec, const std::vector<SocketAddress>& addresses, TimePoint deadline) {
  Result<Fd> fd = open_any(addresses, deadline);
  if (!fd)
    return {fd.status(), true};
  Handshake handshake = Handshake::client(spec.client);
  const Status status = run_handshake(fd.value().get(), handshake, deadline);
  if (!status.is_ok())
    return {status, handshake.status().is_ok() || handshake.not_yet()};
  return {
      Established{
          std::move(fd).value(),
          handshake.hello(),
          handshake.keys(),
          handshake.server_incarnation()},
      false};
}

}  // namespace

Status prepare_socket(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
    return system_error("fcntl", errno);
  const int on = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
    return system_error("setsockopt(TCP_NODELAY)", errno);
  return Status::ok();
}

Result<Established> connect_to(const ConnectSpec& spec, TimePoint deadline) {
  const TimePoint begin = steady_now();
  const Result<std::vector<SocketAddress>> addresses = resolve(spec.to);
  if (!addresses)
    return addresses.status();
  Duration pause = kFirstPause;
  Status cause;
  while (true) {
    const TimePoint until = std::min(deadline, steady_now() + spec.handshake_timeout);
    Attempt tried = attempt(spec, addresses.value(), until);
    if (tried.outcome)
      return std::move(tried.outcome).value();
    const Status why = tried.outcome.status();
    if (!tried.again)
      return error(
          why.code(),
          "rank {} could not join at {}: {}",
          spec.client.hello.rank,
          spec.to.to_string(),
          why.message());
    // That time is up is no cause; what went wrong before is.
    if (cause.is_ok() || until < deadline || why.code() != Code::Timeout)
      cause = why;
    if (steady_now() + pause >= deadline)
      return error(
          Code::Timeout,
          "rank {} could not reach rank {} at {} within {:.1f} s: {}",
          spec.client.hello.rank,
          spec.client.hello.to_rank,
          spec.to.to_string(),
          std::chrono::duration<double>(deadline - begin).count(),
          cause.message());
    pause_for(pause);
    pause = std::min(2 * pause, kLongestPause);
  }
}

}  // namespace farandole::net

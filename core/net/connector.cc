#include "core/net/connector.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "core/base/failpoint.h"
#include "core/base/fork_closed.h"
#include "core/base/format.h"
#include "core/base/timespec.h"
#include "core/net/pauses.h"

namespace farandole::net {
namespace {

using GiveUp = std::function<bool()>;

Status given_up() {
  return {Code::Aborted, "given up while the group formed"};
}

Status wait_for(pollfd* entry, TimePoint deadline, const GiveUp& give_up) {
  while (true) {
    if (give_up && give_up())
      return given_up();
    const Duration left = deadline - steady_now();
    if (left <= Duration::zero())
      return error(Code::Timeout, "no answer");
    const Duration span = std::min(left, give_up ? kGiveUpPeriod : Duration(std::chrono::hours(1)));
    const timespec timeout = to_timespec(span);
    const int ready = FARANDOLE_FAIL_CALL(
        "connector.wait_for.ppoll", ppoll(entry, entry != nullptr ? 1 : 0, &timeout, nullptr));
    if (ready > 0)
      return Status::ok();
    if (ready < 0 && errno != EINTR)
      return system_error("ppoll", errno);
  }
}

Status pause_for(Duration span, const GiveUp& give_up) {
  const Status over = wait_for(nullptr, steady_now() + span, give_up);
  return over.code() == Code::Timeout ? Status::ok() : over;
}

// Not System, as what this process lacks is: the server may still come.
Status unreachable(int why) {
  return {Code::PeerLost, system_error("connect", why).message()};
}

Status finish_connect(int fd, TimePoint deadline, const GiveUp& give_up) {
  pollfd entry{fd, POLLOUT, 0};
  FARANDOLE_RETURN_IF_ERROR(wait_for(&entry, deadline, give_up));
  int failure = 0;
  socklen_t size = sizeof(failure);
  if (FARANDOLE_FAIL_CALL(
          "connector.finish_connect.getsockopt",
          getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size)) != 0)
    failure = errno;
  return failure == 0 ? Status::ok() : unreachable(failure);
}

Result<UniqueFd> open_socket(const SocketAddress& to, TimePoint deadline, const GiveUp& give_up) {
  UniqueFd fd(closed_on_fork([&] {
    return FARANDOLE_FAIL_CALL(
        "connector.open_socket.socket",
        socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  }));
  if (!fd)
    return system_error("socket", errno);
  FARANDOLE_RETURN_IF_ERROR(prepare_socket(fd.get()));
  if (FARANDOLE_FAIL_CALL("connector.open_socket.connect", connect(fd.get(), to.get(), to.size)) !=
      0) {
    if (errno != EINPROGRESS)
      return unreachable(errno);
    FARANDOLE_RETURN_IF_ERROR(finish_connect(fd.get(), deadline, give_up));
  }
  // A socket that connects to an unused port of its own host can meet itself.
  const Result<SocketAddress> local = local_end(fd.get());
  if (local && local.value().endpoint() == to.endpoint())
    return error(Code::PeerLost, "connect: nobody listens");
  return fd;
}

Result<UniqueFd> open_any(
    const std::vector<SocketAddress>& addresses, TimePoint deadline, const GiveUp& give_up) {
  Status why = error(Code::System, "the host has no address");
  for (const SocketAddress& address : addresses) {
    Result<UniqueFd> fd = open_socket(address, deadline, give_up);
    if (fd || fd.status().code() == Code::Aborted)
      return fd;
    if (why.code() == Code::System)  // what may pass weighs more than what will not
      why = fd.status();
  }
  return why;
}

// Until `patience`, but once the server has proved the secret until the deadline: it answers or
// closes, and a client that went then could have been admitted already, and would be refused when
// it comes again. A handshake that timed out goes on where it stood.
Status shake(
    int fd, Handshake& handshake, const GiveUp& give_up, TimePoint patience, TimePoint deadline) {
  while (true) {
    const auto end = [&] { return handshake.awaits_admission() ? deadline : patience; };
    const TimePoint turn = give_up ? std::min(end(), steady_now() + kGiveUpPeriod) : end();
    const Status status = run_handshake(fd, handshake, turn);
    if (status.code() != Code::Timeout)
      return status;
    if (give_up && give_up())
      return given_up();
    if (steady_now() >= end())
      return status;
  }
}

struct Attempt {
  Result<Established> outcome;
  bool again = true;
};

Attempt attempt(
    const ConnectSpec& spec,
    const std::vector<SocketAddress>& addresses,
    Duration patience,
    TimePoint deadline) {
  const auto until = [&](Duration length) { return std::min(deadline, steady_now() + length); };
  Result<UniqueFd> fd = open_any(addresses, until(spec.handshake_timeout), spec.give_up);
  if (!fd)
    return {fd.status(), fd.status().code() != Code::Aborted && fd.status().code() != Code::System};
  Handshake handshake = Handshake::client(spec.client);
  const Status status = shake(fd.value().get(), handshake, spec.give_up, until(patience), deadline);
  if (!status.is_ok())
    return {
        status,
        status.code() != Code::Aborted && (handshake.status().is_ok() || handshake.not_yet())};
  return {
      Established{
          std::move(fd).value(),
          handshake.hello(),
          handshake.keys(),
          handshake.server_incarnation(),
          0},
      false};
}

}  // namespace

Status prepare_socket(int fd) {
  const int flags = FARANDOLE_FAIL_CALL("connector.prepare_socket.fcntl", fcntl(fd, F_GETFL));
  if (flags < 0 ||
      FARANDOLE_FAIL_CALL(
          "connector.prepare_socket.2.fcntl", fcntl(fd, F_SETFL, flags | O_NONBLOCK)) != 0)
    return system_error("fcntl", errno);
  const int on = 1;
  if (FARANDOLE_FAIL_CALL(
          "connector.prepare_socket.setsockopt",
          setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))) != 0)
    return system_error("setsockopt(TCP_NODELAY)", errno);
  return Status::ok();
}

Result<Established> connect_to(const ConnectSpec& spec, TimePoint deadline) {
  const TimePoint begin = steady_now();
  const Result<std::vector<SocketAddress>> addresses =
      resolve(spec.to, {deadline, spec.give_up, spec.resolver});
  if (!addresses)
    return error(
        addresses.status().code(),
        "rank {} could not join at {}: {}",
        spec.client.hello.rank,
        spec.to.to_string(),
        addresses.status().message());
  Duration pause = kFirstPause;
  // Who comes again stands at the end of the queue: behind a crowd, waiting longer gets further.
  Duration patience = spec.handshake_timeout;
  Status cause;
  while (true) {
    Attempt tried = attempt(spec, addresses.value(), patience, deadline);
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
    const bool timed_out = why.code() == Code::Timeout;
    if (cause.is_ok() || steady_now() < deadline || !timed_out)
      cause = why;
    if (timed_out)
      patience = std::min(2 * patience, deadline - begin);
    if (steady_now() + pause >= deadline)
      return error(
          Code::Timeout,
          "rank {} could not reach rank {} at {} within {:.1f} s: {}",
          spec.client.hello.rank,
          spec.client.hello.to_rank,
          spec.to.to_string(),
          std::chrono::duration<double>(deadline - begin).count(),
          cause.message());
    FARANDOLE_RETURN_IF_ERROR(pause_for(pause, spec.give_up));
    pause = longer(pause);
  }
}

}  // namespace farandole::net

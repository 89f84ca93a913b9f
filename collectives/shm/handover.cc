#include "collectives/shm/handover.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

#include "core/base/failpoint.h"
#include "core/base/fork_closed.h"
#include "core/base/format.h"
#include "core/base/refusal.h"
#include "core/base/secret.h"
#include "core/base/thread.h"
#include "core/base/uninterrupted.h"

namespace farandole::shm {
namespace {

using std::chrono_literals::operator""s;

constexpr size_t kNameDigits = 32, kTokenDigits = 64;
// Who connects knows the token already; there is nothing to wait for.
constexpr Duration kTokenPatience = 1s;
constexpr int kBacklog = 128;

std::string hex(std::span<const uint8_t> bytes) {
  std::string text;
  for (const uint8_t b : bytes) text += fmt::format("{:02x}", b);
  return text;
}

bool is_hex(std::string_view text, size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

std::pair<sockaddr_un, socklen_t> address_of(const Meeting& meeting) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // A leading zero byte makes the name abstract.
  const std::string name = "farandole-" + meeting.name;
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  return {address, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())};
}

Status check_user(int socket) {
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (FARANDOLE_FAIL_CALL(
          "handover.check_user.getsockopt",
          ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length)) != 0)
    return system_error("SO_PEERCRED", errno);
  if (peer.uid != ::geteuid())
    return error(
        Code::Mismatch, "a process of user {} answered, user {} is wanted", peer.uid, ::geteuid());
  return Status::ok();
}

int milliseconds_until(TimePoint deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 3'600'000));
}

bool same_token(std::string_view a, std::string_view b) {
  unsigned char difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i)
    difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

// One byte of data has to go along, because a message cannot consist of a descriptor alone.
struct Parcel {
  char byte = 'f';
  iovec data{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};

  Parcel() {
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
  }
  Parcel(const Parcel&) = delete;
  Parcel& operator=(const Parcel&) = delete;
};

void send_descriptor(int socket, int fd) {
  Parcel parcel;
  cmsghdr* header = CMSG_FIRSTHDR(&parcel.message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof(int));
  // Whoever does not get it says so; there is nobody here to tell.
  [[maybe_unused]] const ssize_t sent = uninterrupted([&] {
    return FARANDOLE_FAIL_CALL(
        "handover.send_descriptor.sendmsg", ::sendmsg(socket, &parcel.message, MSG_NOSIGNAL));
  });
}

Status wait_readable(int fd, TimePoint deadline, const Interrupt* interrupt) {
  const TimePoint begin = steady_now();
  for (;;) {
    std::array<pollfd, 2> wanted{
        {{fd, POLLIN, 0}, {interrupt != nullptr ? interrupt->fd() : -1, POLLIN, 0}}};
    const int ready = FARANDOLE_FAIL_CALL(
        "handover.wait_readable.poll",
        ::poll(wanted.data(), wanted.size(), milliseconds_until(deadline)));
    if (ready < 0 && errno != EINTR)
      return system_error("poll", errno);
    if (ready > 0 && wanted[1].revents != 0)
      return interrupt->status();
    if (ready > 0)
      return Status::ok();
    if (steady_now() >= deadline)
      return error(
          Code::Timeout,
          "it was not handed over within {:.1f} s, as where its process is stopped "
          "(FARANDOLE_START_TIMEOUT)",
          std::chrono::duration<double>(steady_now() - begin).count());
  }
}

// Whatever the kernel has opened for this process, so that what is refused is closed again: the
// room for one descriptor is aligned up to that for two.
std::vector<UniqueFd> descriptors_in(msghdr& message) {
  std::vector<UniqueFd> taken;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
      continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      taken.emplace_back(fd);
    }
  }
  return taken;
}

Result<UniqueFd> take_parcel(int socket) {
  Parcel parcel;
  const ssize_t got = uninterrupted([&] {
    return FARANDOLE_FAIL_CALL(
        "handover.take_parcel.recvmsg", ::recvmsg(socket, &parcel.message, MSG_CMSG_CLOEXEC));
  });
  if (got < 0)
    return system_error("receiving shared memory", errno);
  std::vector<UniqueFd> taken = descriptors_in(parcel.message);
  if (got != 1 || (parcel.message.msg_flags & MSG_CTRUNC) != 0 || taken.size() != 1)
    return error(
        Code::System,
        "the descriptor of the shared memory was refused, or did not fit into this process's limit "
        "of open files");
  return std::move(taken.front());
}

}  // namespace

Result<Meeting> Meeting::random() {
  const Result<Secret> name = Secret::random();
  const Result<Secret> token = Secret::random();
  if (!name || !token)
    return name ? token.status() : name.status();
  return Meeting{
      hex(name.value().bytes().first(kNameDigits / 2)),
      hex(token.value().bytes().first(kTokenDigits / 2))};
}

Result<Meeting> Meeting::from_text(const std::string& text) {
  const size_t space = text.find(' ');
  if (space != std::string::npos) {
    Meeting meeting{text.substr(0, space), text.substr(space + 1)};
    if (is_hex(meeting.name, kNameDigits) && is_hex(meeting.token, kTokenDigits))
      return meeting;
  }
  return error(Code::Mismatch, "\"{}\" is no meeting point for shared memory", printable(text, 32));
}

HandoverServer::HandoverServer(int shared, std::string token, UniqueFd listener, UniqueFd stop)
    : shared_(shared),
      token_(std::move(token)),
      listener_(std::move(listener)),
      stop_(std::move(stop)) {
  thread_ = start_thread("fdl-handover", [this] { serve(); });
}

HandoverServer::~HandoverServer() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

Result<std::unique_ptr<HandoverServer>> HandoverServer::start(
    const UniqueFd& fd, const Meeting& meeting) {
  UniqueFd listener(closed_on_fork([] {
    return FARANDOLE_FAIL_CALL(
        "handover.start.socket", ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  }));
  UniqueFd stop(
      FARANDOLE_FAIL_CALL("handover.start.eventfd", ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
  if (!listener || !stop)
    return system_error("socket for shared memory", errno);
  const auto [address, length] = address_of(meeting);
  if (FARANDOLE_FAIL_CALL(
          "handover.start.bind",
          ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), length)) != 0 ||
      FARANDOLE_FAIL_CALL("handover.start.listen", ::listen(listener.get(), kBacklog)) != 0)
    return system_error("binding the socket for shared memory", errno);
  try {
    return std::unique_ptr<HandoverServer>(
        new HandoverServer(fd.get(), meeting.token, std::move(listener), std::move(stop)));
  } catch (const Refusal& refused) {
    return refused.status();
  }
}

bool HandoverServer::readable(int fd, TimePoint deadline) {
  for (;;) {
    std::array<pollfd, 2> wanted{pollfd{fd, POLLIN, 0}, pollfd{stop_.get(), POLLIN, 0}};
    const int timeout = deadline == TimePoint::max() ? -1 : milliseconds_until(deadline);
    const int ready = FARANDOLE_FAIL_CALL(
        "handover.readable.poll", ::poll(wanted.data(), wanted.size(), timeout));
    if (ready < 0 && errno == EINTR)
      continue;
    return ready > 0 && wanted[1].revents == 0;
  }
}

void HandoverServer::serve() {
  // Without an end of its own: the destructor, which comes with the group's verdict, ends it.
  while (readable(listener_.get(), TimePoint::max())) {
    const UniqueFd peer(closed_on_fork([&] {
      return FARANDOLE_FAIL_CALL(
          "handover.serve.accept4",
          ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    }));
    if (peer)
      serve_one(peer);
    else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
      break;  // out of descriptors, say: those who ask are told by the closed socket
  }
  listener_ = UniqueFd();
}

void HandoverServer::serve_one(const UniqueFd& peer) {
  if (!check_user(peer.get()))
    return;
  std::string token;
  const TimePoint deadline = steady_now() + kTokenPatience;
  while (token.size() < kTokenDigits && readable(peer.get(), deadline)) {
    std::array<char, kTokenDigits> part{};
    const ssize_t got = uninterrupted([&] {
      return FARANDOLE_FAIL_CALL(
          "handover.serve_one.recv",
          ::recv(
              peer.get(),
              part.data(),
              FARANDOLE_FAIL_SIZE("handover.serve_one.recv", kTokenDigits - token.size()),
              0));
    });
    if (got <= 0)
      return;
    token.append(part.data(), static_cast<size_t>(got));
  }
  if (same_token(token, token_))
    send_descriptor(peer.get(), shared_);
}

Result<UniqueFd> receive_descriptor(
    const Meeting& meeting, TimePoint deadline, const Interrupt* interrupt) {
  const UniqueFd socket(closed_on_fork([] {
    return FARANDOLE_FAIL_CALL(
        "handover.receive_descriptor.socket", ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  }));
  if (!socket)
    return system_error("socket for shared memory", errno);
  // Bounds connect() and send(), which wait only while the other side's queue is full.
  const int wait = std::max(1, milliseconds_until(deadline));
  const timeval limit{wait / 1000, (wait % 1000) * 1000};
  if (FARANDOLE_FAIL_CALL(
          "handover.receive_descriptor.setsockopt",
          ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit))) != 0)
    return system_error("setsockopt(SO_SNDTIMEO)", errno);
  const auto [address, length] = address_of(meeting);
  if (FARANDOLE_FAIL_CALL(
          "handover.receive_descriptor.connect",
          ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), length)) != 0)
    return system_error("connecting to the member that created the shared memory", errno);
  FARANDOLE_RETURN_IF_ERROR(check_user(socket.get()));
  const ssize_t sent = uninterrupted([&] {
    return FARANDOLE_FAIL_CALL(
        "handover.receive_descriptor.send",
        ::send(socket.get(), meeting.token.data(), meeting.token.size(), MSG_NOSIGNAL));
  });
  if (sent != static_cast<ssize_t>(meeting.token.size()))
    return system_error("asking for shared memory", sent < 0 ? errno : EIO);
  FARANDOLE_RETURN_IF_ERROR(wait_readable(socket.get(), deadline, interrupt));
  return take_parcel(socket.get());
}

}  // namespace farandole::shm

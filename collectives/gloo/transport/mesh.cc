#include "collectives/gloo/transport/mesh.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <string>
#include <utility>

#include "collectives/gloo/transport/mesh_failed.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/timespec.h"

namespace farandole::gloo_transport {
namespace {

// How long nothing has moved, not counting time in which this process did not run (stopped from
// the terminal, a paused machine): each wait is cut in slices, and a slice counts once at most.
class IdleTimer {
 public:
  explicit IdleTimer(Duration limit) : limit_(limit), slice_(limit / 8 + Duration(1)) {}
  Duration next() const noexcept { return std::min(slice_, limit_ - idle_); }
  void add(Duration waited) noexcept { idle_ += std::min(waited, slice_); }
  void reset() noexcept { idle_ = Duration::zero(); }
  bool expired() const noexcept { return idle_ >= limit_; }

 private:
  Duration limit_;
  Duration slice_;
  Duration idle_{};
};

}  // namespace

Result<std::unique_ptr<Mesh>> Mesh::make(MeshOptions options, std::vector<UniqueFd> sockets) {
  UniqueFd wake(FARANDOLE_FAIL_CALL("mesh.make.eventfd", ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
  if (!wake)
    return system_error("eventfd", errno);
  return std::unique_ptr<Mesh>(new Mesh(std::move(options), std::move(sockets), std::move(wake)));
}

Mesh::Mesh(MeshOptions options, std::vector<UniqueFd> sockets, UniqueFd wake)
    : options_(std::move(options)), links_(options_.members.size()), wake_(std::move(wake)) {
  AnySource& any = *this;
  for (size_t peer = 0; peer < sockets.size(); ++peer)
    if (sockets[peer])
      links_[peer] = std::make_unique<Link>(any, static_cast<int>(peer), std::move(sockets[peer]));
}

Link& Mesh::link(int peer) {
  throw_if_failed();
  if (peer < 0 || peer >= size() || !links_[static_cast<size_t>(peer)]) {
    abort(error(Code::Internal, "member {} of {} has no connection here", peer, size()));
    throw_if_failed();
  }
  return *links_[static_cast<size_t>(peer)];
}

void Mesh::send(int peer, const Send& send) {
  Link& to = link(peer);
  check(peer, to.send(send));
  size_t moved = 0;
  if (to.wants_flush())
    check(peer, to.flush(moved));
}

void Mesh::receive(int peer, const Receive& receive) {
  check(peer, link(peer).receive(receive));
}

void Mesh::write(int peer, const Send& send, uint64_t offset) {
  Link& to = link(peer);
  check(peer, to.write(send, offset));
  size_t moved = 0;
  if (to.wants_flush())
    check(peer, to.flush(moved));
}

void Mesh::expose(int peer, const Receive& buffer) {
  check(peer, link(peer).expose(buffer));
}

void Mesh::forget(const Sink* sink) noexcept {
  bool undone =
      std::erase_if(any_, [&](const AnyReceive& r) { return r.receive.sink == sink; }) > 0;
  for (const auto& each : links_)
    if (each && each->forget(sink))
      undone = true;
  // Where an exception ends the operation, whoever catches it says why.
  if (undone && std::uncaught_exceptions() == 0)
    abort({Code::Internal, "a buffer was released while it was in use"});
}

void Mesh::wait(const std::function<bool()>& done, Duration idle_limit) {
  IdleTimer idle(idle_limit > Duration::zero() ? idle_limit : options_.data_timeout);
  for (;;) {
    FARANDOLE_FAILPOINT("mesh.wait");
    throw_if_failed();
    flush_links();
    if (done())
      return;
    const TimePoint before = steady_now();
    if (turn(idle.next()) > 0)
      idle.reset();
    else
      idle.add(steady_now() - before);
    if (idle.expired() && !failed() && !done())
      abort(stuck(idle_limit > Duration::zero() ? idle_limit : options_.data_timeout));
  }
}

void Mesh::flush() {
  wait([this] {
    return std::all_of(
        links_.begin(), links_.end(), [](const auto& each) { return !each || each->drained(); });
  });
}

void Mesh::flush_links() {
  size_t moved = 0;
  for (const auto& each : links_)
    if (each && each->wants_flush())
      check(each->peer(), each->flush(moved));
}

size_t Mesh::turn(Duration limit) {
  std::vector<pollfd>& fds = polled_;
  fds.assign(1, {wake_.get(), POLLIN, 0});
  for (const auto& each : links_) {
    const short interest = each ? each->interest() : 0;
    fds.push_back({interest != 0 ? each->fd() : -1, interest, 0});
  }
  const timespec timeout = to_timespec(limit);
  const int ready =
      FARANDOLE_FAIL_CALL("mesh.turn.ppoll", ::ppoll(fds.data(), fds.size(), &timeout, nullptr));
  if (ready < 0 && errno != EINTR)
    abort(system_error("ppoll", errno));
  if (ready <= 0)
    return 0;
  if (fds[0].revents != 0) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t n =
        FARANDOLE_FAIL_CALL("mesh.turn.read", ::read(wake_.get(), &count, sizeof count));
  }
  size_t moved = 0;
  for (size_t i = 1; i < fds.size() && !failed(); ++i)
    if (fds[i].revents != 0)
      serve(i - 1, fds[i].revents, moved);
  check_any();
  return moved;
}

void Mesh::serve(size_t place, short events, size_t& moved) {
  Link& ready = *links_[place];
  ready.on_poll(events);
  if ((events & (POLLIN | POLLHUP | POLLERR)) != 0)
    check(ready.peer(), ready.read(moved));
  if (ready.wants_flush())
    check(ready.peer(), ready.flush(moved));
}

void Mesh::abort(Status why) noexcept {
  {
    MutexLock lock(mutex_);
    if (failed_.load(std::memory_order_relaxed))
      return;
    status_ = std::move(why);
    failed_.store(true, std::memory_order_release);
  }
  wake();
}

void Mesh::wake() noexcept {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n =
      FARANDOLE_FAIL_CALL("mesh.wake.write", ::write(wake_.get(), &one, sizeof one));
}

Status Mesh::status() const {
  MutexLock lock(mutex_);
  return status_;
}

void Mesh::throw_if_failed() const {
  if (failed())
    throw MeshFailed(status().to_string());
}

// Turns what a link says ("closed the connection") into the failure of the whole group.
void Mesh::check(int peer, Status status) {
  if (status.is_ok())
    return;
  const Link& from = *links_[static_cast<size_t>(peer)];
  const int rank = options_.members[static_cast<size_t>(peer)].rank;
  const int named = from.named_culprit();
  Status why(status.code(), fmt::format("{}{} {}", activity(), name_of(peer), status.message()));
  if (named >= 0 && named != rank)
    why = Status(
        Code::PeerLost,
        fmt::format("{}{} gave up because rank {} failed", activity(), name_of(peer), named));
  why.blame(named >= 0 ? named : rank);
  abort(std::move(why));
  throw_if_failed();
}

Status Mesh::stuck(Duration idle) const {
  std::string who;
  int culprit = -1;
  for (const auto& each : links_) {
    if (!each || (!each->awaits_data() && !each->awaits_sending()))
      continue;
    who += fmt::format(
        "{}{} {}",
        who.empty() ? "" : ", ",
        each->awaits_data() ? "data from" : "room to send to",
        name_of(each->peer()));
    culprit = options_.members[static_cast<size_t>(each->peer())].rank;
  }
  const double seconds = std::chrono::duration<double>(idle).count();
  return error(
             Code::Timeout,
             "{}nothing has moved for {:.1f} s (FARANDOLE_DATA_TIMEOUT); waiting for {}",
             activity(),
             seconds,
             who.empty() ? "any member" : who)
      .blame(culprit);
}

void Mesh::set_activity(std::string_view kind, std::string_view name) noexcept {
  kind_ = kind;
  name_ = name;
}

std::string Mesh::activity() const {
  return kind_.empty() ? std::string() : fmt::format("{} \"{}\": ", kind_, printable(name_));
}

std::string Mesh::name_of(int peer) const {
  const Member& member = options_.members[static_cast<size_t>(peer)];
  return fmt::format("rank {} (host {})", member.rank, printable(member.host, 128));
}

}  // namespace farandole::gloo_transport

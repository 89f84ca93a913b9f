#include "core/net/heartbeat.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <utility>

#include "core/base/abandon.h"
#include "core/base/bounded_thread.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/log.h"
#include "core/base/log_label.h"
#include "core/base/mutex.h"
#include "core/base/patience.h"
#include "core/base/refusal.h"
#include "core/net/framing.h"
#include "core/net/process_card.h"

namespace farandole::net {
namespace {

constexpr size_t kMaxBody = 64;
constexpr uint8_t kCard = 1;
constexpr uint8_t kBeat = 2;
// What an epoll event belongs to.
constexpr uint64_t kControl = ~uint64_t{0};
constexpr uint64_t kProcessBit = uint64_t{1} << 63;

struct Peer {
  Peer(Established&& from)
      : fd(std::move(from.fd)), sealer(from.keys.send), reader(from.keys.receive, kMaxBody) {}
  UniqueFd fd;
  UniqueFd process;  // readable when the peer's process has ended
  FrameSealer sealer;
  FrameReader reader;
  Bytes out;  // what the kernel did not take yet
};

struct Change {
  int rank = 0;
  std::optional<Peer> watch;  // nullopt: forget
};

}  // namespace

struct Heartbeat::Impl {
  void run();
  void apply_changes();
  void send_card(Peer& peer) const;
  void watch(int rank, Peer from);
  void forget(int rank);
  void wait(TimePoint until);
  void on_event(uint64_t tag);
  void read(int rank, Peer& peer);
  bool on_body(int rank, Peer& peer, ByteSpan body);
  void beat();
  void push(Peer& peer) const;
  void drop(UniqueFd& fd) const;
  void drop(int rank);
  void lose_connection(Peer& peer) const;
  void judge(TimePoint now);
  bool add(int fd, uint64_t tag) const;
  void wake() const;

  HeartbeatOptions options;
  ProcessCard own = ProcessCard::own();
  UniqueFd epoll;
  UniqueFd control;
  std::map<int, Peer> peers;  // by rank; heartbeat thread only
  Mutex mutex;
  std::vector<Change> changes FARANDOLE_GUARDED_BY(mutex);
  bool stopping FARANDOLE_GUARDED_BY(mutex) = false;
  std::optional<BoundedThread> thread;  // nothing once joined
};

bool Heartbeat::Impl::add(int fd, uint64_t tag) const {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = tag;
  return FARANDOLE_FAIL_CALL(
             "heartbeat.add.epoll_ctl", epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event)) == 0;
}

void Heartbeat::Impl::wake() const {
  eventfd_write(control.get(), 1);
}

void Heartbeat::Impl::run() {
  TimePoint next = steady_now();
  while (true) {
    {
      MutexLock lock(mutex);
      if (stopping)
        return;
    }
    apply_changes();
    const TimePoint now = steady_now();
    if (now >= next) {
      judge(now);
      beat();
      next = now + options.interval;
    }
    wait(next);
  }
}

void Heartbeat::Impl::apply_changes() {
  std::vector<Change> todo;
  {
    MutexLock lock(mutex);
    todo.swap(changes);
  }
  for (Change& change : todo) {
    forget(change.rank);
    if (change.watch)
      watch(change.rank, std::move(*change.watch));
  }
}

// Thread: any, but alone with this peer.
void Heartbeat::Impl::send_card(Peer& peer) const {
  Bytes card = {kCard};
  own.encode(card);
  append_frame(peer.out, peer.sealer, card);
  push(peer);
}

void Heartbeat::Impl::watch(int rank, Peer from) {
  Peer& peer = peers.emplace(rank, std::move(from)).first->second;
  options.judge->watch(rank, steady_now());
  if (peer.fd && !add(peer.fd.get(), static_cast<uint64_t>(rank)))
    lose_connection(peer);  // silence will be the verdict
}

void Heartbeat::Impl::forget(int rank) {
  options.judge->forget(rank);
  drop(rank);
}

// Closing alone would not take it out of the epoll set while a forked child holds a copy, and its
// events would come for ever.
void Heartbeat::Impl::drop(UniqueFd& fd) const {
  if (fd)
    epoll_ctl(epoll.get(), EPOLL_CTL_DEL, fd.get(), nullptr);
  fd.reset();
}

void Heartbeat::Impl::drop(int rank) {
  const auto found = peers.find(rank);
  if (found == peers.end())
    return;
  drop(found->second.fd);
  drop(found->second.process);
  peers.erase(found);
}

void Heartbeat::Impl::wait(TimePoint until) {
  using std::chrono::milliseconds;
  const auto left = std::chrono::ceil<milliseconds>(until - steady_now()).count();
  std::array<epoll_event, 64> events;
  const int count = FARANDOLE_FAIL_CALL(
      "heartbeat.wait.epoll_wait",
      epoll_wait(epoll.get(), events.data(), events.size(), left < 0 ? 0 : static_cast<int>(left)));
  for (int i = 0; i < count; ++i) on_event(events[static_cast<size_t>(i)].data.u64);
}

void Heartbeat::Impl::on_event(uint64_t tag) {
  if (tag == kControl) {
    eventfd_t ignored;
    eventfd_read(control.get(), &ignored);
    return;
  }
  const int rank = static_cast<int>(tag & ~kProcessBit);
  const auto found = peers.find(rank);
  if (found == peers.end())
    return;
  if ((tag & kProcessBit) == 0)
    return read(rank, found->second);
  forget(rank);
  options.ended(rank);
}

void Heartbeat::Impl::read(int rank, Peer& peer) {
  if (!peer.fd)
    return;
  const std::span<uint8_t> space = peer.reader.space();
  const ssize_t got = FARANDOLE_FAIL_CALL(
      "heartbeat.read.recv",
      recv(
          peer.fd.get(),
          space.data(),
          FARANDOLE_FAIL_SIZE("heartbeat.read.recv", space.size()),
          MSG_DONTWAIT));
  if (got < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (got <= 0)
    return lose_connection(peer);
  peer.reader.commit(static_cast<size_t>(got));
  while (true) {
    const Result<std::optional<ByteSpan>> next = peer.reader.next();
    if (next && !next.value())
      return;
    if (!next || !on_body(rank, peer, *next.value()))
      return lose_connection(peer);
  }
}

bool Heartbeat::Impl::on_body(int rank, Peer& peer, ByteSpan body) {
  ByteReader from(body);
  const uint8_t kind = from.get<uint8_t>();
  options.judge->on_beat(rank, steady_now());
  if (kind == kBeat)
    return from.finished();
  const std::optional<ProcessCard> card =
      kind == kCard && !peer.process ? ProcessCard::decode(from) : std::nullopt;
  if (!card)
    return false;
  peer.process = watch_process(own, *card);
  if (peer.process && !add(peer.process.get(), static_cast<uint64_t>(rank) | kProcessBit))
    peer.process.reset();
  return true;
}

// The control connection says why a peer went; here only its silence counts from now on.
void Heartbeat::Impl::lose_connection(Peer& peer) const {
  drop(peer.fd);
}

void Heartbeat::Impl::beat() {
  const Bytes body = {kBeat};
  for (auto& [rank, peer] : peers) {
    // While the kernel takes nothing, beats are not heaped up.
    if (peer.fd && peer.out.empty())
      append_frame(peer.out, peer.sealer, body);
    push(peer);
  }
}

void Heartbeat::Impl::push(Peer& peer) const {
  if (!peer.fd || peer.out.empty())
    return;
  const ssize_t sent = FARANDOLE_FAIL_CALL(
      "heartbeat.push.send",
      send(
          peer.fd.get(),
          peer.out.data(),
          FARANDOLE_FAIL_SIZE("heartbeat.push.send", peer.out.size()),
          MSG_NOSIGNAL | MSG_DONTWAIT));
  if (sent > 0)
    peer.out.erase(peer.out.begin(), peer.out.begin() + sent);
  else if (errno != EAGAIN && errno != EINTR)
    lose_connection(peer);
}

void Heartbeat::Impl::judge(TimePoint now) {
  for (const HeartbeatJudge::Silence& silence : options.judge->tick(now)) {
    drop(silence.rank);
    options.silent(silence.rank, silence.length);
  }
}

Result<std::unique_ptr<Heartbeat>> Heartbeat::start(HeartbeatOptions options) {
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  impl->epoll.reset(
      FARANDOLE_FAIL_CALL("heartbeat.start.epoll_create1", epoll_create1(EPOLL_CLOEXEC)));
  impl->control.reset(
      FARANDOLE_FAIL_CALL("heartbeat.start.eventfd", eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
  if (!impl->epoll || !impl->control || !impl->add(impl->control.get(), kControl))
    return system_error("epoll", errno);
  try {
    impl->thread.emplace("fdl-heartbeat", [raw = impl.get(), label = log_label()] {
      const LogScope scope(label);
      raw->run();
    });
  } catch (const Refusal& refused) {
    return refused.status();
  }
  return std::unique_ptr<Heartbeat>(new Heartbeat(std::move(impl)));
}

Heartbeat::Heartbeat(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Heartbeat::~Heartbeat() {
  if (fork_.in_child()) {
    abandon(impl_);  // its thread and its epoll set are the parent's
    return;
  }
  if (stop(steady_now() + patience::kLoop))
    return;
  FARANDOLE_LOG(Error, "the heartbeat thread did not end: a callback blocks it, and it stays");
  impl_->thread->abandon();
  abandon(impl_);  // the thread uses it
}

bool Heartbeat::stop(TimePoint deadline) {
  if (!impl_->thread)
    return true;
  {
    MutexLock lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake();
  if (!impl_->thread->join_until(deadline))
    return false;
  impl_->thread.reset();
  return true;
}

// The card is on its way before the thread gets its turn: a process that dies from now on is known
// to have ended, also where its children hold its sockets.
void Heartbeat::watch(int rank, Established connection) {
  Peer peer(std::move(connection));
  impl_->send_card(peer);
  {
    MutexLock lock(impl_->mutex);
    impl_->changes.push_back({rank, std::move(peer)});
  }
  impl_->wake();
}

void Heartbeat::forget(int rank) {
  {
    MutexLock lock(impl_->mutex);
    impl_->changes.push_back({rank, std::nullopt});
  }
  impl_->wake();
}

}  // namespace farandole::net

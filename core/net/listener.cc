#include "core/net/listener.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <list>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/fork_closed.h"
#include "core/base/format.h"
#include "core/net/asio.h"
#include "core/net/rate_limit.h"

namespace farandole::net {
namespace {

using asio::ip::tcp;

constexpr Duration kPauseWithoutFds = std::chrono::milliseconds(100);
// Then whatever else the loop has to do gets its turn, and those that were let go are freed.
constexpr int kAcceptsPerTurn = 32;

Result<UniqueFd> listen_at(const SocketAddress& address, bool reuse_port) {
  UniqueFd fd(closed_on_fork([&] {
    return FARANDOLE_FAIL_CALL(
        "listener.listen_at.socket",
        socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  }));
  if (!fd)
    return system_error("socket", errno);
  const int on = 1;
  if (FARANDOLE_FAIL_CALL(
          "listener.listen_at.setsockopt",
          setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on))) != 0)
    return system_error("setsockopt(SO_REUSEADDR)", errno);
  if (reuse_port && FARANDOLE_FAIL_CALL(
                        "listener.listen_at.2.setsockopt",
                        setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on))) != 0)
    return system_error("setsockopt(SO_REUSEPORT)", errno);
  if (FARANDOLE_FAIL_CALL("listener.listen_at.bind", bind(fd.get(), address.get(), address.size)) !=
      0)
    return system_error("bind", errno);
  if (FARANDOLE_FAIL_CALL("listener.listen_at.listen", listen(fd.get(), SOMAXCONN)) != 0)
    return system_error("listen", errno);
  return fd;
}

}  // namespace

struct Listener::Impl : std::enable_shared_from_this<Impl> {
  // A connection that has not proved anything yet.
  struct Stranger {
    Stranger(tcp::socket s, asio::io_context& context) : socket(std::move(s)), timer(context) {}
    tcp::socket socket;
    asio::steady_timer timer;
    bool late = false;
    bool expected = false;  // has said what a rank of the job says, and owes the proof
    uint64_t order = 0;     // of its hello among those that were answered
  };
  using Strangers = std::list<std::shared_ptr<Stranger>>;

  Impl(IoThread& io, ListenerOptions with, int family)
      : context(context_of(io)),
        options(std::move(with)),
        protocol(family == AF_INET6 ? tcp::v6() : tcp::v4()),
        acceptor(context),
        pause(context),
        line_due(context) {}

  asio::awaitable<void> accept();
  Status take_some();
  void take(UniqueFd fd);
  void let_one_go();
  asio::awaitable<void> greet(std::shared_ptr<Stranger> stranger);
  asio::awaitable<void> meet(std::shared_ptr<Stranger> stranger);
  asio::awaitable<Status> shake(Stranger& stranger, Handshake& handshake);
  void welcome(Stranger& stranger, Handshake& handshake);
  void refuse(Stranger& stranger, const Status& why);
  void warn(const Status& why, const std::string& who);
  void regret(const char* what) noexcept;
  void say(const std::string& line, uint64_t quiet);
  void close();
  void spawn_guarded(asio::awaitable<void> coroutine);

  asio::io_context& context;
  ListenerOptions options;
  tcp protocol;
  tcp::acceptor acceptor;
  asio::steady_timer pause;
  Strangers strangers;  // oldest first
  RateLimit lines{std::chrono::seconds(1)};
  std::string held_line;  // waits for the next second
  asio::steady_timer line_due;
  uint64_t answered = 0;  // hellos of those who were to prove themselves
  uint64_t refused = 0;
  bool closed = false;
};

void Listener::Impl::spawn_guarded(asio::awaitable<void> coroutine) {
  spawn(context, std::move(coroutine), [self = shared_from_this()](const Status& why) {
    self->warn(why, "a connection");
  });
}

asio::awaitable<void> Listener::Impl::accept() {
  const auto self = shared_from_this();
  while (!closed) {
    bool fine = false;
    try {
      auto [failed] = co_await acceptor.async_wait(tcp::acceptor::wait_read, kAwait);
      FARANDOLE_FAIL_CODE("listener.accept.async_wait", failed);
      const Status why = failed ? error(Code::System, "epoll: {}", failed.message()) : take_some();
      fine = closed || why.is_ok();
      if (!fine)
        warn(why, "a connection");
    } catch (const std::exception& e) {  // which costs a connection, and not those that come later
      regret(e.what());
    }
    if (fine)
      continue;
    pause.expires_after(kPauseWithoutFds);
    co_await pause.async_wait(kAwait);
  }
}

// As many as one turn of the loop may take of those who wait to be accepted. Ok where the next look
// may find somebody.
Status Listener::Impl::take_some() {
  for (int taken = 0; taken < kAcceptsPerTurn && !closed; ++taken) {
    // accept4 and not Asio's accept, which leaves a moment without close-on-exec.
    UniqueFd fd(closed_on_fork([&] {
      return FARANDOLE_FAIL_CALL(
          "listener.accept.accept4",
          accept4(acceptor.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    }));
    if (!fd) {
      const int failure = errno;
      if (failure == EAGAIN || failure == EINTR || failure == ECONNABORTED)
        return Status::ok();
      Status why = system_error("accept", failure);
      if (strangers.empty() && options.starved)
        options.starved(why);
      return why;
    }
    take(std::move(fd));
  }
  return Status::ok();
}

// The oldest, but no rank that is about to prove itself while there is anybody else: a rank that
// gets its turn on a busy machine late is not to be crowded out by those who say nothing.
void Listener::Impl::let_one_go() {
  auto chosen = std::find_if(
      strangers.begin(), strangers.end(), [](const auto& stranger) { return !stranger->expected; });
  if (chosen == strangers.end())
    chosen = strangers.begin();
  Stranger& gone = **chosen;
  gone.late = true;
  gone.timer.cancel();
  ErrorCode ignored;
  gone.socket.close(ignored);
  strangers.erase(chosen);
}

void Listener::Impl::take(UniqueFd fd) {
  if (strangers.size() >= options.max_half_open)
    let_one_go();
  tcp::socket socket(context);
  ErrorCode failed;
  socket.assign(protocol, fd.get(), failed);
  if (failed)
    return warn(error(Code::System, "epoll: {}", failed.message()), "a connection");
  fd.release();
  strangers.push_back(std::make_shared<Stranger>(std::move(socket), context));
  try {
    spawn_guarded(greet(strangers.back()));
  } catch (const std::exception& e) {
    strangers.pop_back();
    regret(e.what());
  }
}

asio::awaitable<void> Listener::Impl::greet(std::shared_ptr<Stranger> stranger) {
  const auto self = shared_from_this();
  try {
    co_await meet(stranger);
  } catch (const std::exception& e) {
    strangers.remove(stranger);
    stranger->timer.cancel();
    ErrorCode ignored;
    stranger->socket.close(ignored);
    regret(e.what());
  }
}

asio::awaitable<void> Listener::Impl::meet(std::shared_ptr<Stranger> stranger) {
  stranger->timer.expires_after(options.handshake_timeout);
  stranger->timer.async_wait([stranger](const ErrorCode& cancelled) {
    if (cancelled)
      return;
    stranger->late = true;
    ErrorCode ignored;
    stranger->socket.cancel(ignored);
  });
  Handshake handshake = Handshake::server(options.server());
  const Status status = co_await shake(*stranger, handshake);
  stranger->timer.cancel();
  strangers.remove(stranger);
  if (closed)
    co_return;
  if (status.is_ok())
    welcome(*stranger, handshake);
  else if (!handshake.not_yet())
    refuse(*stranger, status);
}

asio::awaitable<Status> Listener::Impl::shake(Stranger& stranger, Handshake& handshake) {
  std::array<uint8_t, kMaxUnauthenticatedBytes> buffer;
  while (!handshake.done()) {
    const size_t wanted = FARANDOLE_FAIL_SIZE("listener.shake.async_read_some", handshake.wants());
    auto [failed, count] =
        co_await stranger.socket.async_read_some(asio::buffer(buffer.data(), wanted), kAwait);
    FARANDOLE_FAIL_CODE("listener.shake.async_read_some", failed);
    if (stranger.late)
      co_return error(Code::Timeout, "it did not finish the handshake in time");
    if (failed)
      co_return error(
          Code::PeerLost, "it went away during the handshake; perhaps its secret is another one");
    handshake.feed(ByteSpan(buffer).first(count));
    if (handshake.awaits_proof() && !std::exchange(stranger.expected, true))
      stranger.order = ++answered;
    const Bytes out = handshake.output();
    // At most 90 bytes into an empty socket buffer: never short while the peer is honest.
    if (!out.empty() && FARANDOLE_FAIL_CALL(
                            "listener.shake.send",
                            ::send(
                                stranger.socket.native_handle(),
                                out.data(),
                                out.size(),
                                MSG_NOSIGNAL | MSG_DONTWAIT)) != static_cast<ssize_t>(out.size()))
      co_return error(Code::PeerLost, "it does not read");
  }
  co_return handshake.status();
}

void Listener::Impl::welcome(Stranger& stranger, Handshake& handshake) {
  ErrorCode failed;
  UniqueFd fd(stranger.socket.release(failed));
  Status ready = failed ? error(Code::System, "{}", failed.message()) : prepare_socket(fd.get());
  if (!ready.is_ok())
    return warn(ready, fmt::format("rank {}", handshake.hello().rank));
  options.accepted(
      {std::move(fd),
       handshake.hello(),
       handshake.keys(),
       handshake.server_incarnation(),
       stranger.order});
}

void Listener::Impl::refuse(Stranger& stranger, const Status& why) {
  ErrorCode failed;
  const tcp::endpoint from = stranger.socket.remote_endpoint(failed);
  warn(why, failed ? "a connection" : "a connection from " + from.address().to_string());
  ErrorCode ignored;
  stranger.socket.close(ignored);
}

// As warn(), of what was thrown; where there is no memory to say it with, it stays unsaid.
void Listener::Impl::regret(const char* what) noexcept {
  try {
    warn({Code::System, what}, "a connection");
  } catch (const std::exception&) {
  }
}

void Listener::Impl::warn(const Status& why, const std::string& who) {
  ++refused;
  const std::string line =
      fmt::format("refused {} at {}: {}", who, options.at.to_string(), why.message());
  if (const std::optional<uint64_t> quiet = lines.pass(steady_now()))
    return say(line, *quiet);
  // What names versions, jobs or a secret is worth knowing, however many port scanners come.
  if (why.code() != Code::Mismatch || !held_line.empty())
    return;
  held_line = line;
  line_due.expires_at(lines.next());
  line_due.async_wait([self = shared_from_this()](const ErrorCode& cancelled) {
    const std::string held = std::exchange(self->held_line, {});
    const std::optional<uint64_t> quiet = self->lines.pass(steady_now());
    if (!cancelled && quiet)
      self->say(held, *quiet);
  });
}

void Listener::Impl::say(const std::string& line, uint64_t quiet) {
  const std::string more = quiet == 0 ? "" : fmt::format(" ({} others refused meanwhile)", quiet);
  FARANDOLE_LOG(Warning, "{}{}", line, more);
}

void Listener::Impl::close() {
  closed = true;
  pause.cancel();
  line_due.cancel();
  ErrorCode ignored;
  acceptor.close(ignored);
  for (const auto& stranger : strangers) {
    stranger->timer.cancel();
    stranger->socket.close(ignored);
  }
  strangers.clear();
}

Result<std::unique_ptr<Listener>> Listener::open(IoThread& io, ListenerOptions options) {
  const auto named = [&](const Status& why) {
    return error(why.code(), "cannot listen at {}: {}", options.at.to_string(), why.message());
  };
  const Result<std::vector<SocketAddress>> addresses = resolve(options.at, options.lookup);
  if (!addresses)
    return named(addresses.status());
  const SocketAddress& address = addresses.value().front();
  if (address.is_wildcard())
    return named(error(
        Code::InvalidArgument,
        "that is every interface of this host; the address of the job's one is wanted"));
  Result<UniqueFd> fd = listen_at(address, options.reuse_port);
  if (!fd)
    return named(fd.status());
  const Result<SocketAddress> local = local_end(fd.value().get());
  if (!local)
    return named(local.status());
  const Endpoint bound = local.value().endpoint();
  options.at = bound;
  auto impl = std::make_shared<Impl>(io, std::move(options), address.family());
  ErrorCode failed;
  impl->acceptor.assign(impl->protocol, fd.value().get(), failed);
  if (failed)
    return named(error(Code::System, "epoll: {}", failed.message()));
  fd.value().release();
  impl->spawn_guarded(impl->accept());
  return std::unique_ptr<Listener>(new Listener(std::move(impl), bound));
}

Listener::Listener(std::shared_ptr<Impl> impl, Endpoint endpoint)
    : impl_(std::move(impl)), endpoint_(std::move(endpoint)) {}

Listener::~Listener() {
  if (fork_.in_child())
    new std::shared_ptr<Impl>(std::move(impl_));  // NOLINT: left alone, and never destroyed
  else
    impl_->close();
}

size_t Listener::half_open() const noexcept {
  return impl_->strangers.size();
}
uint64_t Listener::refused() const noexcept {
  return impl_->refused;
}

}  // namespace farandole::net

#include "core/net/connection.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/net/asio.h"
#include "core/net/framing.h"

namespace farandole::net {
namespace {

using Socket = asio::generic::stream_protocol::socket;

constexpr size_t kKeptOut = 1 << 20;

Status closed_by_peer() {
  return error(Code::PeerLost, "connection closed, as when a process ends without shutdown");
}

Status broken(int why) {
  if (why == ECONNRESET || why == EPIPE)
    return error(Code::PeerLost, "connection reset");
  return error(Code::PeerLost, "connection failed: {}", system_error("socket", why).message());
}

// An exception of the owner's must not end as a failure of the connection, see ConnectionEvents.
template <typename... Args>
void call_owner(
    const std::function<void(Args...)>& event, std::type_identity_t<Args>... args) noexcept {
  event(std::forward<Args>(args)...);
}

}  // namespace

// Alive until both coroutines have ended, whatever becomes of its Connection.
struct Connection::Impl : std::enable_shared_from_this<Impl> {
  enum class State : uint8_t { Open, Finishing, Closed };

  Impl(IoThread& io, Established from, ConnectionLimits limit, ConnectionEvents to)
      : context(context_of(io)),
        socket(context),
        timer(context),
        limits(limit),
        events(std::move(to)),
        reader(from.keys.receive, limit.max_frame_bytes),
        sealer(from.keys.send) {
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    (void)FARANDOLE_FAIL_CALL(
        "connection.open.getsockname",
        getsockname(from.fd.get(), reinterpret_cast<sockaddr*>(&address), &size));
    ErrorCode failed;
    socket.assign({address.ss_family, 0}, from.fd.get(), failed);
    if (!failed)
      from.fd.release();
    else
      unusable = error(Code::System, "epoll: {}", failed.message());
  }

  asio::awaitable<void> read();
  bool deliver();
  void flush();
  asio::awaitable<void> write_when_possible();
  asio::awaitable<void> linger(TimePoint deadline, std::function<void()> done);
  void fail(Status why);
  void close();
  void spawn_guarded(asio::awaitable<void> coroutine);

  asio::io_context& context;
  Socket socket;
  asio::steady_timer timer;  // of finish(); cancelled when there is something to look at
  ConnectionLimits limits;
  ConnectionEvents events;
  FrameReader reader;
  FrameSealer sealer;
  State state = State::Open;
  Status unusable;      // of the socket as it was given
  bool silent = false;  // the owner wants no more events
  bool read_ended = false;
  bool write_ended = false;
  bool writing = false;  // write_when_possible() runs
  Bytes out;
  size_t sent = 0;  // of out
};

void Connection::Impl::spawn_guarded(asio::awaitable<void> coroutine) {
  spawn(context, std::move(coroutine), [self = shared_from_this()](Status why) {
    self->fail(std::move(why));
  });
}

asio::awaitable<void> Connection::Impl::read() {
  const auto self = shared_from_this();
  if (!unusable.is_ok())
    fail(unusable);
  while (state != State::Closed) {
    const std::span<uint8_t> space = reader.space();
    const size_t room = FARANDOLE_FAIL_SIZE("connection.read.async_read_some", space.size());
    auto [failed, count] =
        co_await socket.async_read_some(asio::buffer(space.data(), room), kAwait);
    FARANDOLE_FAIL_CODE("connection.read.async_read_some", failed);
    if (state == State::Closed)
      break;
    if (failed) {
      read_ended = true;
      timer.cancel();
      fail(failed == asio::error::eof ? closed_by_peer() : broken(failed.value()));
      break;
    }
    reader.commit(count);
    if (!deliver())
      break;
  }
}

// Hands over whole frames. False: nothing more is to be read.
bool Connection::Impl::deliver() {
  bool any = false;
  while (true) {
    Result<std::optional<ByteSpan>> next = reader.next();
    if (!next) {
      fail(next.status());
      return false;
    }
    if (!next.value())
      break;
    any = true;
    if (state == State::Open)
      call_owner(events.frame, *next.value());
    if (state == State::Closed)
      return false;
  }
  if (any && state == State::Open)
    call_owner(events.drained);
  return state != State::Closed;
}

void Connection::Impl::flush() {
  while (state != State::Closed && !writing && !write_ended && sent < out.size()) {
    const ssize_t count = FARANDOLE_FAIL_CALL(
        "connection.flush.send",
        ::send(
            socket.native_handle(),
            out.data() + sent,
            FARANDOLE_FAIL_SIZE("connection.flush.send", out.size() - sent),
            MSG_NOSIGNAL | MSG_DONTWAIT));
    if (count >= 0) {
      sent += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      writing = true;
      spawn_guarded(write_when_possible());
    } else if (errno == EPIPE || errno == ECONNRESET) {
      // The peer's last words may still wait to be read; reading then finds the end, too.
      write_ended = true;
    } else if (errno != EINTR) {
      fail(broken(errno));
    }
  }
  if (sent == out.size() || write_ended) {
    sent = 0;
    out.clear();
    if (out.capacity() > kKeptOut)
      out.shrink_to_fit();
    if (state == State::Finishing)
      timer.cancel();
  }
}

asio::awaitable<void> Connection::Impl::write_when_possible() {
  const auto self = shared_from_this();
  auto [failed] = co_await socket.async_wait(Socket::wait_write, kAwait);
  FARANDOLE_FAIL_CODE("connection.write_when_possible.async_wait", failed);
  writing = false;
  if (!failed)
    flush();
}

asio::awaitable<void> Connection::Impl::linger(TimePoint deadline, std::function<void()> done) {
  const auto self = shared_from_this();
  bool said = false;
  while (state == State::Finishing && !read_ended && steady_now() < deadline) {
    if (out.empty() && !std::exchange(said, true))
      ::shutdown(socket.native_handle(), SHUT_WR);
    timer.expires_at(deadline);
    co_await timer.async_wait(kAwait);
  }
  if (state != State::Finishing)
    co_return;  // the owner closed it: it is not interested any more
  close();
  call_owner(done);
}

// The socket is of no use any more; the owner hears of it in a later turn of the loop.
void Connection::Impl::fail(Status why) {
  if (state == State::Finishing) {
    read_ended = true;
    timer.cancel();
    return;
  }
  if (state == State::Closed)
    return;
  state = State::Closed;
  ErrorCode ignored;
  socket.cancel(ignored);
  asio::post(context, [self = shared_from_this(), why = std::move(why)] {
    self->close();
    if (!std::exchange(self->silent, true))
      call_owner(self->events.closed, why);
  });
}

void Connection::Impl::close() {
  state = State::Closed;
  timer.cancel();
  if (!socket.is_open())
    return;
  // Not only close(2): a forked child may hold the socket, too, and the peer should know.
  ::shutdown(socket.native_handle(), SHUT_RDWR);
  ErrorCode ignored;
  socket.close(ignored);
}

Connection::Connection(
    IoThread& io, Established socket, ConnectionLimits limits, ConnectionEvents events)
    : impl_(std::make_shared<Impl>(io, std::move(socket), limits, std::move(events))) {
  impl_->spawn_guarded(impl_->read());
}

Connection::~Connection() {
  if (fork_.in_child())
    new std::shared_ptr<Impl>(std::move(impl_));  // NOLINT: left alone, and never destroyed
  else
    close();
}

void Connection::send(ByteSpan body) {
  Impl& impl = *impl_;
  if (impl.state != Impl::State::Open || impl.write_ended)
    return;
  const size_t queued = impl.out.size() - impl.sent;
  const size_t limit = impl.limits.send_queue_bytes;
  if (body.size() > impl.limits.max_frame_bytes)
    return impl.fail(error(
        Code::Internal,
        "a message of {} bytes exceeds max_frame_bytes ({})",
        body.size(),
        impl.limits.max_frame_bytes));
  if (queued > limit || frame_bytes(body.size()) > limit - queued)
    return impl.fail(error(
        Code::PeerLost,
        "it does not read: {} bytes wait to be sent, at most {} may",
        queued,
        limit));
  append_frame(impl.out, impl.sealer, body);
}

void Connection::flush() {
  impl_->flush();
}

size_t Connection::queued_bytes() const noexcept {
  return impl_->out.size() - impl_->sent;
}

void Connection::close() {
  impl_->silent = true;  // the events stay: one of them may be running
  impl_->close();
}

void Connection::finish(TimePoint deadline, std::function<void()> done) {
  const auto impl = impl_;
  if (impl->state != Impl::State::Open) {
    close();
    asio::post(impl->context, std::move(done));
    return;
  }
  impl->state = Impl::State::Finishing;
  impl->silent = true;
  impl->flush();
  impl->spawn_guarded(impl->linger(deadline, std::move(done)));
}

}  // namespace farandole::net

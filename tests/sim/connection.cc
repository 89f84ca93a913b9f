// Connection of core/net over a virtual socket: the same decisions as core/net/connection.cc, with
// the real framing, without Asio.

#include "core/net/connection.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "controller/protocol/messages.h"
#include "core/base/format.h"
#include "core/net/framing.h"
#include "tests/sim/io_thread.h"

namespace farandole::net {
namespace {

constexpr size_t kHeard = 4;  // frames kept for injections

}  // namespace

struct Connection::Impl : std::enable_shared_from_this<Impl> {
  enum class State : uint8_t { Open, Finishing, Closed };

  Impl(IoThread& io, Established from, ConnectionLimits limit, ConnectionEvents to)
      : io_thread(io),
        process(*io.impl().process),
        socket(io.impl().network->take(from)),
        limits(limit),
        events(std::move(to)),
        reader(from.keys.receive, limit.max_frame_bytes),
        sealer(from.keys.send),
        timer(io) {}

  void begin();
  bool repeat(uint64_t how);
  void look();
  void read();
  bool deliver();
  void flush();
  void finish_when_flushed();
  void end_finish();
  void fail(Status why);
  void close();

  IoThread& io_thread;
  sim::Process& process;
  std::shared_ptr<sim::Socket> socket;
  ConnectionLimits limits;
  ConnectionEvents events;
  FrameReader reader;
  FrameSealer sealer;
  LoopTimer timer;
  State state = State::Open;
  bool silent = false;
  bool looking = false;  // read() is queued
  bool read_ended = false;
  bool write_ended = false;
  bool writing = false;  // the kernel is full
  bool said = false;     // FIN, by finish()
  Bytes out;
  size_t sent = 0;
  std::function<void()> done;  // of finish()
  std::deque<Bytes> heard;     // the last frames
};

void Connection::Impl::begin() {
  const std::weak_ptr<Impl> weak = weak_from_this();
  socket->in->readable = [weak] {
    if (const auto self = weak.lock())
      self->look();
  };
  socket->out->writable = [weak, &process = process] {
    process.ready([weak] {
      if (const auto self = weak.lock()) {
        self->writing = false;
        self->flush();
      }
    });
  };
  process.add_injection([weak](uint64_t how) {
    const auto self = weak.lock();
    return self && self->repeat(how);
  });
  process.post([self = shared_from_this()] {
    if (self->socket->in->has_bytes() || self->socket->in->ended())
      self->look();
  });
}

// A frame that must change nothing: one that came before, or of another job, epoch or process. The
// seals of frames keep such out; the protocol has to do so without them.
bool Connection::Impl::repeat(uint64_t how) {
  if (state != State::Open || heard.empty())
    return false;
  Bytes body = heard[how / 4 % heard.size()];
  control::Limits generous;
  generous.size = 64;
  const Result<control::Frame> frame = control::decode(body, generous);
  if (!frame)
    return false;
  control::Envelope envelope = frame.value().envelope;
  envelope.seq += how % 4 == 0 ? 0 : 1000;
  envelope.job += how % 4 == 1 ? 1 : 0;
  envelope.epoch += how % 4 == 2 ? 7 : 0;
  envelope.incarnation += how % 4 == 3 ? 1 : 0;
  control::restamp(body, envelope);
  events.frame(body);
  return true;
}

void Connection::Impl::look() {
  if (state == State::Closed || read_ended || std::exchange(looking, true))
    return;
  process.ready([self = shared_from_this()] {
    self->looking = false;
    if (self->state != State::Closed && !self->read_ended)
      self->read();
  });
}

void Connection::Impl::read() {
  const size_t count = socket->in->read(reader.space());
  if (count > 0) {
    reader.commit(count);
    if (deliver() && (socket->in->has_bytes() || socket->in->ended()))
      look();
    return;
  }
  if (!socket->in->ended())
    return;
  read_ended = true;
  if (state == State::Finishing)
    end_finish();
  else
    fail({Code::PeerLost, socket->in->broken() ? "connection reset" : "connection closed"});
}

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
    if (state == State::Open) {
      heard.emplace_back(next.value()->begin(), next.value()->end());
      if (heard.size() > kHeard)
        heard.pop_front();
      events.frame(*next.value());
    }
    if (state == State::Closed)
      return false;
  }
  if (any && state == State::Open)
    events.drained();
  return state != State::Closed;
}

void Connection::Impl::flush() {
  const bool wants = state != State::Closed && !writing && !write_ended && sent < out.size();
  // Who dies in the middle of a write has written a part.
  if (wants && process.about_to_die() && !socket->in->broken())
    socket->out->write(ByteSpan(out).subspan(sent, (out.size() - sent) / 2));
  if (wants && process.act()) {
    if (socket->in->broken()) {
      write_ended = true;
    } else {
      sent += socket->out->write(ByteSpan(out).subspan(sent));
      writing = sent < out.size();
    }
  }
  if (sent == out.size() || write_ended) {
    sent = 0;
    out.clear();
    if (state == State::Finishing)
      finish_when_flushed();
  }
}

void Connection::Impl::finish_when_flushed() {
  if (out.empty() && !std::exchange(said, true) && !process.dead())
    socket->out->finish();
}

void Connection::Impl::end_finish() {
  if (state != State::Finishing)
    return;
  close();
  process.post(std::exchange(done, nullptr));
}

void Connection::Impl::fail(Status why) {
  if (state == State::Finishing)
    return end_finish();
  if (state == State::Closed)
    return;
  state = State::Closed;
  process.post([self = shared_from_this(), why = std::move(why)] {
    self->close();
    if (!std::exchange(self->silent, true))
      self->events.closed(why);
  });
}

void Connection::Impl::close() {
  state = State::Closed;
  timer.cancel();
  if (!process.dead())
    socket->close(said);
}

Connection::Connection(
    IoThread& io, Established socket, ConnectionLimits limits, ConnectionEvents events)
    : impl_(std::make_shared<Impl>(io, std::move(socket), limits, std::move(events))) {
  impl_->begin();
}

Connection::~Connection() {
  close();
}

void Connection::send(ByteSpan body) {
  Impl& impl = *impl_;
  if (impl.state != Impl::State::Open || impl.write_ended)
    return;
  const size_t queued = impl.out.size() - impl.sent;
  const size_t limit = impl.limits.send_queue_bytes;
  if (body.size() > impl.limits.max_frame_bytes)
    return impl.fail(error(Code::Internal, "a message of {} bytes exceeds the limit", body.size()));
  if (queued > limit || frame_bytes(body.size()) > limit - queued)
    return impl.fail(error(Code::PeerLost, "it does not read: {} bytes wait to be sent", queued));
  append_frame(impl.out, impl.sealer, body);
  impl.process.note_queued(queued_bytes());
}

void Connection::flush() {
  impl_->flush();
}

size_t Connection::queued_bytes() const noexcept {
  return impl_->out.size() - impl_->sent;
}

void Connection::close() {
  impl_->silent = true;
  impl_->close();
}

void Connection::finish(TimePoint deadline, std::function<void()> done) {
  const auto impl = impl_;
  if (impl->state != Impl::State::Open) {
    close();
    impl->process.post(std::move(done));
    return;
  }
  impl->state = Impl::State::Finishing;
  impl->silent = true;
  impl->done = std::move(done);
  impl->timer.set(deadline, [impl] { impl->end_finish(); });
  impl->flush();
  if (impl->read_ended)
    impl->end_finish();
}

}  // namespace farandole::net

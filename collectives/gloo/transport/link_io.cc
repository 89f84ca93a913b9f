#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "collectives/gloo/transport/link.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"

namespace farandole::gloo_transport {
namespace {

// Holds headers and small payloads; larger payloads go straight to their destination.
constexpr size_t kBufferBytes = 32 << 10;
// Moved per call, so that an abort is seen soon and other links get their turn.
constexpr size_t kBudget = 4 << 20;
constexpr size_t kGather = 16;

}  // namespace

Link::Link(AnySource& any, int peer, UniqueFd fd)
    : any_(any),
      peer_(peer),
      fd_(std::move(fd)),
      buffer_(std::make_unique<uint8_t[]>(kBufferBytes)) {}

Status Link::flush(size_t& moved) {
  for (size_t budget = kBudget; !queue_.empty() && !broken_ && budget > 0;) {
    iovec parts[kGather];
    size_t count = 0;
    for (const Outgoing& out : queue_) {
      if (count + 2 > kGather)
        break;
      if (out.sent < kFrameBytes)
        parts[count++] = {
            const_cast<uint8_t*>(out.header.data()) + out.sent, kFrameBytes - out.sent};
      const size_t done = out.sent < kFrameBytes ? 0 : out.sent - kFrameBytes;
      if (out.bytes > done)
        parts[count++] = {const_cast<uint8_t*>(out.data) + done, out.bytes - done};
    }
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = FARANDOLE_FAIL_SIZE("link_io.flush.sendmsg", count);
    const ssize_t sent = FARANDOLE_FAIL_CALL(
        "link_io.flush.sendmsg", ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT));
    if (sent < 0 && errno == EINTR)
      continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      full_ = true;
      return Status::ok();
    }
    if (sent < 0) {
      // What the peer said before it went, a farewell perhaps, is still to be read: reading finds
      // the end, and judges.
      broken_ = true;
      return Status::ok();
    }
    moved += static_cast<size_t>(sent);
    budget -= std::min(budget, static_cast<size_t>(sent));
    advance(static_cast<size_t>(sent));
  }
  return Status::ok();
}

void Link::advance(size_t bytes) noexcept {
  while (bytes > 0) {
    Outgoing& out = queue_.front();
    const size_t take = std::min(bytes, kFrameBytes + out.bytes - out.sent);
    out.sent += take;
    bytes -= take;
    if (out.sent < kFrameBytes + out.bytes)
      return;
    Sink* sink = out.sink;
    queue_.pop_front();
    if (sink != nullptr)
      sink->on_sent(peer_);
  }
}

Status Link::read(size_t& moved) {
  for (size_t budget = kBudget; budget > 0 && !ended_ && !stalled_;) {
    iovec parts[2];
    size_t count = 0;
    const size_t body = body_left_;
    if (body > 0)
      parts[count++] = {body_, body};
    parts[count++] = {buffer_.get() + end_, kBufferBytes - end_};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = FARANDOLE_FAIL_SIZE("link_io.read.recvmsg", count);
    const size_t room = body + kBufferBytes - end_;
    const ssize_t got =
        FARANDOLE_FAIL_CALL("link_io.read.recvmsg", ::recvmsg(fd_.get(), &message, MSG_DONTWAIT));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      return Status::ok();
    if (got <= 0)
      return on_end(got < 0 ? errno : 0);
    const size_t bytes = static_cast<size_t>(got);
    moved += bytes;
    budget -= std::min(budget, bytes);
    const size_t direct = std::min(bytes, body);
    body_ += direct;
    body_left_ -= direct;
    end_ += bytes - direct;
    FARANDOLE_RETURN_IF_ERROR(parse());
    if (bytes < room)
      return Status::ok();
  }
  return Status::ok();
}

// Consumes what is buffered, as far as it goes: afterwards the buffer holds less than a header, or
// the link is stalled.
Status Link::parse() {
  for (;;) {
    if (in_body_) {
      const size_t take = std::min(body_left_, end_ - begin_);
      if (take > 0)
        std::memcpy(body_, buffer_.get() + begin_, take);
      body_ += take;
      body_left_ -= take;
      begin_ += take;
      if (body_left_ > 0)
        break;
      FARANDOLE_RETURN_IF_ERROR(finish_body());
    }
    Frame frame;
    if (end_ - begin_ < kFrameBytes)
      break;
    if (left_)
      return error(Code::PeerLost, "broke the protocol: it sent a frame after its last");
    if (!decode(buffer_.get() + begin_, frame))
      return error(Code::PeerLost, "broke the protocol: it sent bytes that are no frame");
    if (frame.opcode == Opcode::Write && exposed(frame.slot) == nullptr) {
      stalled_ = true;
      return Status::ok();
    }
    begin_ += kFrameBytes;
    const bool has_body = frame.opcode == Opcode::Data || frame.opcode == Opcode::Eager ||
                          frame.opcode == Opcode::Write;
    FARANDOLE_RETURN_IF_ERROR(has_body ? begin_body(frame) : on_control(frame));
  }
  std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  return Status::ok();
}

Status Link::on_end(int errno_value) {
  ended_ = true;
  broken_ = true;
  if (!left_)
    return lost(
        errno_value == 0 ? std::string("closed the connection")
                         : fmt::format("broke the connection ({})", std::strerror(errno_value)));
  const bool unsent = std::any_of(
      queue_.begin(), queue_.end(), [](const Outgoing& out) { return out.sink != nullptr; });
  if (unsent || awaits_data() || !waiting_.empty())
    return lost("left");
  queue_.clear();
  return Status::ok();
}

Status Link::lost(std::string_view how) const {
  return {Code::PeerLost, std::string(how)};
}

short Link::interest() const noexcept {
  if (ended_ || muted_)
    return 0;
  short events = stalled_ ? 0 : POLLIN;
  if (!queue_.empty() && !broken_)
    events |= POLLOUT;
  return events == 0 ? POLLPRI : events;
}

void Link::on_poll(short events) noexcept {
  if ((events & POLLOUT) != 0)
    full_ = false;
  if (stalled_ && (events & (POLLHUP | POLLERR)) != 0)
    muted_ = true;
}

void Link::say_leave(Parting parting, int culprit) noexcept {
  if (ended_ || broken_)
    return;
  std::erase_if(queue_, [](const Outgoing& out) { return out.sink != nullptr && out.sent == 0; });
  const bool between = queue_.empty() || queue_.front().sink == nullptr;
  if (!between) {
    broken_ = true;
    return;
  }
  const uint64_t who = culprit < 0 ? 0 : static_cast<uint64_t>(culprit) + 1;
  push_control({Opcode::Leave, static_cast<uint64_t>(parting), 0, who});
  size_t moved = 0;
  (void)flush(moved);
}

void Link::finish() noexcept {
  if (queue_.empty())
    ::shutdown(fd_.get(), SHUT_WR);
}

bool Link::discard() noexcept {
  for (size_t budget = kBudget; budget > 0; budget -= kBufferBytes) {
    const ssize_t got = FARANDOLE_FAIL_CALL(
        "link_io.discard.recv", ::recv(fd_.get(), buffer_.get(), kBufferBytes, MSG_DONTWAIT));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      return false;
    if (got <= 0)
      return true;
  }
  return false;
}

bool Link::unacknowledged() const noexcept {
  int bytes = 0;
  return FARANDOLE_FAIL_CALL(
             "link_io.unacknowledged.ioctl", ::ioctl(fd_.get(), SIOCOUTQ, &bytes)) == 0 &&
         bytes > 0;
}

}  // namespace farandole::gloo_transport

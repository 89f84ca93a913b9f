// A member of a Gloo group whose peer holds the secret but sends what it likes: its memory is
// written only where a receive or a registered buffer is, what it keeps is bounded, and its own
// stream stays well formed.

#include <fcntl.h>

#include <array>
#include <deque>
#include <memory>
#include <optional>

#include "collectives/gloo/transport/link.h"
#include "tests/fuzz/target.h"

namespace farandole::fuzz {
namespace {

using namespace gloo_transport;

constexpr size_t kSlots = 4;
constexpr int kPeer = 1;

// Owns the memory of the operations; each buffer has exactly its size, so that a byte too many is
// found.
class Operations final : public Sink {
 public:
  void on_sent(int) noexcept override { ++sent_; }
  void on_received(int) noexcept override { ++received_; }

  uint8_t* memory(size_t bytes) {
    buffers_.push_back(std::make_unique<uint8_t[]>(bytes));
    return buffers_.back().get();
  }
  size_t sent() const { return sent_; }

 private:
  std::vector<std::unique_ptr<uint8_t[]>> buffers_;
  size_t sent_ = 0;
  size_t received_ = 0;
};

class AnyReceives final : public AnySource {
 public:
  bool take(int, uint64_t slot, bool, Receive& receive) override {
    const auto found = std::ranges::find(waiting, slot, &Receive::slot);
    if (found == waiting.end())
      return false;
    receive = *found;
    waiting.erase(found);
    return true;
  }
  bool wants(int, uint64_t slot) const override {
    return std::ranges::find(waiting, slot, &Receive::slot) != waiting.end();
  }
  std::deque<Receive> waiting;
};

class Play {
 public:
  explicit Play(Input& in) : in_(in), sees_the_end_(in.flag()), parting_(in.flag()) {
    int ends[2] = {-1, -1};
    require(
        ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0, "sockets");
    theirs_ = UniqueFd(ends[1]);
    link_.emplace(any_, kPeer, UniqueFd(ends[0]));
  }

  void run() {
    for (int steps = 0; steps < 64 && !in_.empty() && good_; ++steps) step();
    if (good_)
      check(read_all());
    if (good_ && sees_the_end_)
      see_the_end();
    link_->say_leave(parting_ ? Parting::Orderly : Parting::Failed, kPeer);
    link_->finish();
    drain();
    theirs_.reset();
    require(link_->discard(), "the end of the stream is seen");
    require(link_->named_culprit() >= -1, "who is named is a rank or nobody");
  }

 private:
  // The peer is gone: what still comes in is read, and nothing can be sent any more.
  void see_the_end() {
    theirs_.reset();
    for (int reads = 0; reads < 64 && good_ && !link_->ended(); ++reads) check(read_all());
    if (!good_ || !link_->ended())
      return;
    require(!link_->send(a_send()).is_ok(), "nothing is sent to one that has gone");
    require(!link_->write(a_send(), 0).is_ok(), "nor written");
    const Receive receive = a_receive();
    const bool kept = link_->has_kept(receive.slot);
    const Status status = link_->receive(receive);
    require(kept || !status.is_ok(), "nothing is received of it but what it has sent");
    (void)link_->forget(&operations_);
    require(link_->drained() || link_->awaits_sending(), "what is left undone is known");
  }

  void step() {
    switch (in_.below(14)) {
      case 0:
        return say(in_.bytes(80));
      case 1:
        return post(false);
      case 2:
        return post(true);
      case 3:
        return check(link_->expose(a_receive()));
      case 4:
        return check(link_->send(a_send()));
      case 5:
        return check(link_->write(a_send(), in_.below(16)));
      case 6:
        return link_->ask(in_.below(kSlots));
      case 7:
        return link_->unask(in_.below(kSlots));
      case 8: {
        size_t moved = 0;
        check(link_->flush(moved));
        return drain();
      }
      case 9:
        return check(read_all());
      default:
        say_frame();
        return check(read_all());
    }
  }

  size_t a_size() { return in_.byte() < 250 ? in_.below(12) : in_.below(40 << 10); }
  Send a_send() {
    const size_t bytes = a_size();
    return {&operations_, in_.below(kSlots), operations_.memory(bytes), bytes};
  }
  Receive a_receive() {
    const size_t bytes = a_size();
    return {&operations_, in_.below(kSlots), operations_.memory(bytes), bytes};
  }

  void post(bool from_anybody) {
    const Receive receive = a_receive();
    if (!from_anybody)
      return check(link_->receive(receive));
    any_.waiting.push_back(receive);
    link_->ask(receive.slot);
  }

  // --- the peer

  void say(std::span<const uint8_t> bytes) {
    [[maybe_unused]] const ssize_t sent =
        ::send(theirs_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  void say_frame() {
    Frame frame{static_cast<Opcode>(1 + in_.below(8)), in_.below(kSlots), a_size(), in_.below(20)};
    if (in_.byte() < 8)
      frame.slot = in_.number<uint64_t>();
    if (in_.byte() < 8)
      frame.length = in_.number<uint64_t>();
    if (in_.byte() < 8)
      frame.offset = in_.number<uint64_t>();
    if (frame.opcode == Opcode::Leave && in_.byte() < 224)
      frame.opcode = Opcode::Ask;
    FrameBytes bytes = encode(frame);
    Frame same;
    require(decode(bytes.data(), same) && same == frame, "a frame is read as it was written");
    if (in_.byte() < 4)
      bytes[in_.below(bytes.size())] ^= in_.byte();
    say(bytes);
    const size_t body = std::min<uint64_t>(payload_bytes(frame), 40 << 10);
    say(std::vector<uint8_t>(in_.byte() < 250 ? body : body / 2, 0x5A));
  }

  // Reads what the link sent, which must be frames.
  void drain() {
    std::array<uint8_t, 4096> part;
    ssize_t got = 0;
    while ((got = ::recv(theirs_.get(), part.data(), part.size(), MSG_DONTWAIT)) > 0)
      heard_.insert(heard_.end(), part.begin(), part.begin() + got);
    while (heard_.size() >= kFrameBytes) {
      Frame frame;
      require(decode(heard_.data(), frame), "what a member sends is frames");
      const size_t whole = kFrameBytes + payload_bytes(frame);
      if (heard_.size() < whole)
        return;
      heard_.erase(heard_.begin(), heard_.begin() + static_cast<ptrdiff_t>(whole));
    }
  }

  Status read_all() {
    size_t moved = 0;
    return link_->read(moved);
  }

  void check(const Status& status) {
    good_ = good_ && status.is_ok();
    if (!status.is_ok())
      require(
          status.code() == Code::PeerLost || status.code() == Code::Internal,
          "a peer that breaks the protocol is lost");
  }

  Input& in_;
  const bool sees_the_end_;
  const bool parting_;
  Operations operations_;
  AnyReceives any_;
  UniqueFd theirs_;
  std::optional<Link> link_;
  std::vector<uint8_t> heard_;
  bool good_ = true;
};

void check_frame(Input& in) {
  FrameBytes bytes{};
  const auto raw = in.take(bytes.size());
  std::copy(raw.begin(), raw.end(), bytes.begin());
  Frame frame;
  if (decode(bytes.data(), frame))
    require(encode(frame) == bytes, "a frame is written as it was read");
  const Result<SocketAddress> address = parse_endpoint(in.rest());
  if (!address)
    return;
  const Result<SocketAddress> again = parse_endpoint(address.value().to_string());
  require(
      again && again.value().to_string() == address.value().to_string(),
      "an address is read as it is written");
}

}  // namespace

void gloo_link(Input in) {
  if (in.below(8) == 0)
    return check_frame(in);
  Play(in).run();
}

}  // namespace farandole::fuzz

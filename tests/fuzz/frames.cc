// A stream of frames in arbitrary splits: honest ones come out whole and in order; from the first
// byte that the peer did not send so, nothing comes out any more.

#include "core/net/framing.h"
#include "core/net/process_card.h"
#include "tests/fuzz/target.h"

namespace farandole::fuzz {
namespace {

using net::Bytes;
using net::ByteSpan;

constexpr size_t kMaxBody = 4000;
constexpr size_t kShortBody = 200;

// Writes the stream, and what must be read of it.
class Peer {
 public:
  Peer() : key_(Bytes(32, 7)), sealer_(key_) {}

  void say_something(Input& in) {
    switch (in.below(8)) {
      case 0:
        return say_altered(in);
      case 1:
        return say_again(in);
      case 2:
        return say_raw(in);
      case 3:
        return say_any_header(in);
      case 4:
        return say_out_of_order(in);
      case 5:
        return say_card(in);
      case 6:
        return say(Bytes(in.below(kMaxBody + 8), 0x5A));
      default:
        return say(in.bytes(kShortBody + 8));
    }
  }

  const Secret& key() const { return key_; }
  ByteSpan wire() const { return wire_; }
  const std::vector<Bytes>& honest() const { return honest_; }
  bool spoiled() const { return spoiled_; }

 private:
  void say(const Bytes& body) {
    const size_t begin = wire_.size();
    net::append_frame(wire_, sealer_, body);
    said_.emplace_back(wire_.begin() + static_cast<ptrdiff_t>(begin), wire_.end());
    if (!spoiled_ && body.size() <= kMaxBody)
      honest_.push_back(body);
    else
      spoiled_ = true;
  }

  void say_altered(Input& in) {
    Bytes frame;
    net::append_frame(frame, sealer_, in.bytes(kShortBody));
    frame[in.below(frame.size())] ^= static_cast<uint8_t>(1U << in.below(8));
    spoil(frame);
  }

  void say_again(Input& in) {
    if (!said_.empty())
      spoil(said_[in.below(said_.size())]);
  }

  void say_raw(Input& in) {
    const Bytes raw = in.bytes(64);
    if (!raw.empty())
      spoil(raw);
  }

  // One that holds the key, but no encoder.
  void say_any_header(Input& in) {
    Bytes header;
    net::ByteWriter to(header);
    const auto length = static_cast<uint32_t>(in.flag() ? in.byte() : in.number<uint32_t>());
    const auto reserved = static_cast<uint32_t>(in.flag() ? 0 : in.byte());
    to.put(length);
    to.put(reserved);
    const Bytes content = in.bytes(kShortBody + 8);
    const net::Tag tag = sealer_.seal(header, content);
    Bytes frame = header;
    frame.insert(frame.end(), content.begin(), content.end());
    frame.insert(frame.end(), tag.begin(), tag.end());
    const bool lawful = reserved == 0 && length <= kMaxBody &&
                        content.size() == (size_t{length} + 7) / 8 * 8 && !spoiled_;
    if (!lawful)
      return spoil(frame);
    wire_.insert(wire_.end(), frame.begin(), frame.end());
    honest_.emplace_back(content.begin(), content.begin() + length);
  }

  void say_out_of_order(Input& in) {
    Bytes first, second;
    net::append_frame(first, sealer_, in.bytes(16));
    net::append_frame(second, sealer_, in.bytes(16));
    spoil(second);
    spoil(first);
  }

  void say_card(Input& in) {
    const net::ProcessCard card{in.text(37), in.number<uint64_t>(), in.number<int32_t>()};
    Bytes body;
    card.encode(body);
    say(body);
  }

  void spoil(const Bytes& bytes) {
    spoiled_ = true;
    wire_.insert(wire_.end(), bytes.begin(), bytes.end());
  }

  Secret key_;
  net::FrameSealer sealer_;
  Bytes wire_;
  std::vector<Bytes> said_;
  std::vector<Bytes> honest_;
  bool spoiled_ = false;
};

void check_card(ByteSpan body) {
  net::ByteReader from(body);
  const auto card = net::ProcessCard::decode(from);
  if (!card)
    return;
  Bytes again;
  card->encode(again);
  require(std::ranges::equal(again, body), "a card is encoded as it was");
}

// Takes what is whole. False once the reader has failed.
bool take_bodies(net::FrameReader& reader, const Peer& peer, size_t& taken) {
  for (;;) {
    const Result<std::optional<ByteSpan>> next = reader.next();
    if (!next) {
      require(peer.spoiled(), "only a spoiled stream fails");
      require(!reader.next(), "a failed reader stays failed");
      return false;
    }
    if (!next.value())
      return true;
    const ByteSpan body = *next.value();
    require(taken < peer.honest().size(), "nothing comes out that was not honestly sent");
    require(std::ranges::equal(body, peer.honest()[taken]), "a body comes out as it was sent");
    require(reinterpret_cast<uintptr_t>(body.data()) % 8 == 0, "bodies are aligned");
    check_card(body);
    ++taken;
  }
}

// An opener by itself: a frame that is not as it was sealed, and then the honest one.
void open_after_failure(const Secret& key, const Bytes& body) {
  Bytes wrong = body;
  wrong.push_back(0);
  net::FrameSealer sealer(key);
  net::FrameOpener opener(key);
  require(!opener.open({}, wrong, sealer.seal({}, body)), "what was altered does not open");
  require(!opener.open({}, body, sealer.seal({}, body)), "a failed opener stays failed");
}

}  // namespace

void frames(Input in) {
  const Bytes splits = in.bytes(15);
  Peer peer;
  open_after_failure(peer.key(), splits);
  for (int steps = 0; steps < 24 && !in.empty(); ++steps) peer.say_something(in);

  net::FrameReader reader(peer.key(), kMaxBody);
  size_t taken = 0;
  ByteSpan left = peer.wire();
  for (size_t step = 0; !left.empty(); ++step) {
    const size_t split = splits.empty() ? 255 : splits[step % splits.size()];
    const size_t count = std::min(left.size(), split + 1);
    if (step % 2 == 0) {
      reader.append(left.first(count));
    } else {
      const std::span<uint8_t> to = reader.space();
      require(!to.empty(), "there is always space");
      const size_t now = std::min(count, to.size());
      std::copy_n(left.begin(), now, to.begin());
      reader.commit(now);
      reader.append(left.subspan(now, count - now));
    }
    left = left.subspan(count);
    if (!take_bodies(reader, peer, taken))
      break;
  }
  require(taken == peer.honest().size(), "all that was honestly sent comes out");
  require(reader.capacity() <= (16 << 10) + 2 * peer.wire().size(), "memory follows the bytes");
}

}  // namespace farandole::fuzz

#include "tests/search/frames.h"

#include <utility>

#include "core/base/format.h"

namespace farandole::search {

Frames::Added Frames::add(const Bytes& bytes) {
  Entry entry{bytes, decode(bytes, limits_).value()};
  Added added;
  added.seq = std::exchange(entry.frame.envelope.seq, 0);
  if (auto* round = std::get_if<control::Round>(&entry.frame.body)) {
    added.round = std::exchange(round->number, 0);
    entry.bytes = encode(entry.frame.envelope, *round);
  }
  restamp(entry.bytes, entry.frame.envelope);
  const auto [it, fresh] =
      known_.try_emplace(std::string(entry.bytes.begin(), entry.bytes.end()), frames_.size());
  if (fresh)
    frames_.push_back(std::move(entry));
  added.frame = it->second;
  return added;
}

Bytes Frames::stamped(Id frame, uint64_t seq, uint64_t round) const {
  control::Envelope own = envelope(frame);
  own.seq = seq;
  return stamped(frame, own, round);
}

Bytes Frames::stamped(Id frame, const control::Envelope& envelope, uint64_t round) const {
  if (const auto* body = std::get_if<control::Round>(&this->body(frame))) {
    control::Round numbered = *body;
    numbered.number = round;
    return encode(envelope, numbered);
  }
  Bytes bytes = frames_[frame].bytes;
  restamp(bytes, envelope);
  return bytes;
}

std::string Frames::text(Id frame) const {
  static constexpr const char* kNames[] = {
      "Join",
      "Announce",
      "Report",
      "Leave",
      "StoreSet",
      "StoreGet",
      "StoreCancel",
      "Welcome",
      "Refuse",
      "Round",
      "Resend",
      "Failure",
      "StoreValue",
      "StoreError",
      "Finished",
      "Answer",
      "Inquiry"};
  if (frame == kEnd)
    return "the end";
  const Message& message = body(frame);
  std::string out = kNames[message.index()];
  if (const auto* round = std::get_if<control::Round>(&message))
    out += fmt::format(
        " ({} ready, {} rejected, {} evicted)",
        round->ready.size(),
        round->rejected.size(),
        round->evicted.size());
  if (const auto* announce = std::get_if<control::Announce>(&message))
    out += announce->full.empty() ? fmt::format(" id {}", fmt::join(announce->cached, ","))
                                  : " " + announce->full.front().name;
  if (const auto* failure = std::get_if<control::Failure>(&message))
    out +=
        fmt::format(" of rank {}{}", failure->failure.rank, failure->failure.left ? ", left" : "");
  return out;
}

size_t Channels::Hash::operator()(const std::vector<Id>& queue) const noexcept {
  size_t hash = queue.size();
  for (const Id id : queue) hash = (hash ^ id) * 0x9E3779B97F4A7C15ULL;
  return hash;
}

Id Channels::id_of(std::vector<Id> queue) {
  if (queue.empty())
    return kEmpty;
  const auto [it, fresh] = known_.try_emplace(queue, queues_.size());
  if (fresh)
    queues_.push_back(std::move(queue));
  return it->second;
}

Id Channels::rest(Id channel) {
  uint32_t& known = rests_[channel];
  if (known == 0)
    known = id_of({queues_[channel].begin() + 1, queues_[channel].end()}) + 1;
  return known - 1;
}

Id Channels::with(Id channel, Id frame) {
  if (channel == kClosed || (has_any(channel) && queues_[channel].back() == kEnd))
    return channel;
  uint32_t& known = longer_[uint64_t{channel} << 32 | frame];
  if (known == 0) {
    std::vector<Id> queue = queues_[channel];
    queue.push_back(frame);
    known = id_of(std::move(queue)) + 1;
  }
  return known - 1;
}

}  // namespace farandole::search

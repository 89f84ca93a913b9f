#pragma once
// Frames and Channels: messages, and queues of messages on their way, each known by a number, so
// that a state of the whole job is a handful of numbers.

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "controller/protocol/messages.h"
#include "tests/search/flat_set.h"

namespace farandole::search {

using control::Bytes;
using control::Message;
using Id = uint32_t;

// The end of a connection, where a frame could stand.
inline constexpr Id kEnd = 0;

class Frames {
 public:
  explicit Frames(control::Limits limits) : limits_(std::move(limits)), frames_(1) {}

  // Sequence numbers, and those of rounds, are no part of what a frame is: channels keep the order,
  // so that stamped() can give each the number that its receiver waits for. Who adds a frame checks
  // the number that it had.
  struct Added {
    Id frame = 0;
    uint64_t seq = 0;
    uint64_t round = 0;
  };
  Added add(const Bytes& bytes);
  const Message& body(Id frame) const { return frames_[frame].frame.body; }
  const control::Envelope& envelope(Id frame) const { return frames_[frame].frame.envelope; }
  Bytes stamped(Id frame, uint64_t seq, uint64_t round = 0) const;
  // The same body with another envelope.
  Bytes stamped(Id frame, const control::Envelope& envelope, uint64_t round = 0) const;
  // For people.
  std::string text(Id frame) const;

 private:
  struct Entry {
    Bytes bytes;  // with numbers 0
    control::Frame frame;
  };
  control::Limits limits_;
  std::vector<Entry> frames_;
  std::unordered_map<std::string, Id> known_;
};

// Queues of frames, oldest first. An end is the last of its queue: what is put behind it is lost.
class Channels {
 public:
  static constexpr Id kEmpty = 0;
  static constexpr Id kClosed = 1;  // nobody reads it any more

  Channels() : queues_(2) {}

  bool has_any(Id channel) const { return !queues_[channel].empty(); }
  Id first(Id channel) const { return queues_[channel].front(); }
  Id rest(Id channel);
  Id with(Id channel, Id frame);

 private:
  struct Hash {
    size_t operator()(const std::vector<Id>& queue) const noexcept;
  };
  Id id_of(std::vector<Id> queue);

  std::vector<std::vector<Id>> queues_;
  std::unordered_map<std::vector<Id>, Id, Hash> known_;
  FlatMap rests_, longer_;  // ids + 1
};

}  // namespace farandole::search

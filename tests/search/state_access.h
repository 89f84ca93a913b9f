#pragma once
// StateAccess: copies the protocol's state machines and writes down all of their state that can
// make a difference, so that two that behave alike have equal texts.
//
// Left out, because nothing depends on it: counters of dropped frames, and the absolute numbers of
// frames and rounds, which are only ever compared with the last one (the search checks that they
// are sent without gaps, and gives every frame the next number when it delivers it; frames.h).

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "controller/protocol/coordinator.h"
#include "controller/protocol/membership.h"
#include "controller/protocol/worker.h"

namespace farandole::control {

// Bytes that stand for a state: equal if and only if what was put in is equal.
class StateText {
 public:
  StateText() { bytes_.reserve(512); }
  template <typename Number>
  requires(std::is_integral_v<Number> || std::is_enum_v<Number>) StateText& operator<<(
      Number value) {
    // Seven bits a byte, least first, signs folded in: most are one byte.
    const auto wide = static_cast<int64_t>(value);
    auto rest = static_cast<uint64_t>(wide) << 1 ^ static_cast<uint64_t>(wide >> 63);
    std::array<char, 10> digits;
    size_t count = 0;
    for (; rest >= 0x80; rest >>= 7) digits[count++] = static_cast<char>(rest | 0x80);
    digits[count++] = static_cast<char>(rest);
    bytes_.append(digits.data(), count);
    return *this;
  }
  StateText& operator<<(std::string_view text) {
    *this << text.size();
    bytes_.append(text);
    return *this;
  }
  // A value that has a message: as that message's bytes.
  StateText& message(const Message& value);

  const std::string& bytes() const& noexcept { return bytes_; }

 private:
  std::string bytes_;
};

struct StateAccess {
  static std::unique_ptr<Worker> copy(const Worker& from);
  static std::unique_ptr<Coordinator> copy(const Coordinator& from);

  static void write(StateText& to, const Worker& worker);
  static void write(StateText& to, const Coordinator& coordinator);
  static void write(StateText& to, const Membership& membership);

  // The number that the next frame from the other side must have at least.
  static uint64_t next_in(const Worker& worker) { return next_in(worker.link_); }
  static uint64_t next_in(const Coordinator& coordinator, int rank) {
    return next_in(coordinator.links_[static_cast<size_t>(rank)]);
  }
  static uint64_t next_in(const Membership& membership, int rank) {
    return next_in(membership.links_[static_cast<size_t>(rank)]);
  }
  static uint64_t last_out(const Worker& worker) { return worker.link_.sent_; }
  static uint64_t last_out(const Coordinator& coordinator, int rank) {
    return coordinator.links_[static_cast<size_t>(rank)].sent_;
  }
  // Of the last round taken, or told.
  static uint64_t round(const Worker& worker) { return worker.round_; }
  static uint64_t round(const Coordinator& coordinator) { return coordinator.round_; }

  static bool active(const Worker& worker) { return worker.state_ == Worker::State::Active; }
  static bool orphaned(const Worker& worker) { return worker.state_ == Worker::State::Orphaned; }
  // It has said its last word.
  static bool finished(const Worker& worker) {
    return worker.state_ == Worker::State::Finished || closed(worker);
  }
  static bool ended(const Worker& worker) { return worker.state_ == Worker::State::Ended; }
  static bool closed(const Worker& worker) { return worker.state_ == Worker::State::Closed; }

 private:
  static uint64_t next_in(const Link& link) { return link.received_ + 1; }
  static void copy(const Readiness& from, Readiness& to);
  static void write(StateText& to, const Link& link);
  static void write(StateText& to, const ProcessSets& sets);
  static void write(StateText& to, const Readiness& readiness);
  static void write(StateText& to, const StoreTable& store);
};

}  // namespace farandole::control

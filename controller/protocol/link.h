#pragma once
// Link: one side's view of one connection: stamps what goes out, judges what comes in.

#include <cstdint>
#include <optional>

#include "controller/protocol/messages.h"

namespace farandole::control {

// Frames dropped without any effect, by reason.
struct Dropped {
  uint64_t job = 0;
  uint64_t epoch = 0;
  uint64_t incarnation = 0;
  uint64_t seq = 0;
  bool operator==(const Dropped&) const = default;
};

class Link {
 public:
  Link() = default;
  Link(uint64_t job, uint64_t own_incarnation) : job_(job), own_(own_incarnation) {}

  // Envelope of the next message out.
  Envelope next() noexcept;
  // Whether a message with this envelope counts; if not, it has been counted as dropped. The first
  // one that counts fixes the peer's incarnation.
  bool accept(const Envelope& envelope) noexcept;
  // From now on only this epoch, in and out.
  void enter(uint32_t epoch) noexcept { epoch_ = epoch; }
  // As enter(), where the peer has yet to learn of it: until it speaks in the new epoch, what it
  // says in the one before counts, too.
  void lead_into(uint32_t epoch) noexcept {
    before_ = epoch_;
    epoch_ = epoch;
  }
  // Forgets who the peer was; what goes out keeps counting.
  void forget_peer() noexcept;

  bool heard() const noexcept { return peer_known_; }
  const Dropped& dropped() const noexcept { return dropped_; }
  bool operator==(const Link&) const = default;

 private:
  friend struct StateAccess;  // of tests: copies and compares states
  uint64_t job_ = 0;
  uint64_t own_ = 0;
  uint64_t peer_ = 0;
  bool peer_known_ = false;
  uint32_t epoch_ = 0;
  std::optional<uint32_t> before_;  // the epoch that the peer may not have left yet
  uint64_t sent_ = 0;
  uint64_t received_ = 0;
  Dropped dropped_;
};

}  // namespace farandole::control

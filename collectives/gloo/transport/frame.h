#pragma once
// Frame: the 32-byte header of everything that travels between two members of a group.
//
// Who sends first does not matter: the n-th send to a slot meets the n-th receive from it.
//   Data     payload of a send whose receive is known to be posted (a Credit was there)
//   Eager    small payload sent ahead of its Credit, within a window that bounds what the receiver
//            must keep
//   Credit   a receive of `length` bytes was posted on `slot`; one for every receive, always
//   Ask      the sender of this frame would receive `slot` from anybody
//   Unask    no longer
//   Offer    answer to Ask: a send to `slot` waits here
//   Write    payload for a registered buffer (`slot`), at `offset` of it
//   Leave    the last frame: this member goes; `slot` is why (see Leave), `offset` the culprit
// Integers are little-endian.

#include <array>
#include <cstddef>
#include <cstdint>

namespace farandole::gloo_transport {

enum class Opcode : uint8_t {
  Data = 1,
  Eager = 2,
  Credit = 3,
  Ask = 4,
  Unask = 5,
  Offer = 6,
  Write = 7,
  Leave = 8,
};

// Why a member goes (in `slot` of Leave).
enum class Parting : uint64_t { Orderly = 0, Failed = 1 };

struct Frame {
  Opcode opcode = Opcode::Data;
  uint64_t slot = 0;
  uint64_t length = 0;
  uint64_t offset = 0;

  bool operator==(const Frame&) const = default;
};

inline constexpr size_t kFrameBytes = 32;
using FrameBytes = std::array<uint8_t, kFrameBytes>;

FrameBytes encode(const Frame& frame) noexcept;
// False where the bytes are no frame: wrong magic, unknown opcode, reserved bits set.
bool decode(const uint8_t* bytes, Frame& frame) noexcept;

// Payload bytes that follow the header.
constexpr uint64_t payload_bytes(const Frame& f) noexcept {
  const bool has =
      f.opcode == Opcode::Data || f.opcode == Opcode::Eager || f.opcode == Opcode::Write;
  return has ? f.length : 0;
}

// Largest payload that may be sent eagerly, and how much of it (as charged) may be under way to
// one member without its Credit.
inline constexpr size_t kEagerBytes = 16 << 10;
inline constexpr size_t kEagerWindow = 256 << 10;
constexpr size_t eager_charge(size_t bytes) noexcept {
  return bytes + 128;
}

// Outstanding Credits and Asks that a member may have at another: far above what any algorithm
// needs, so that reaching it means a broken peer.
inline constexpr size_t kMaxOutstanding = 1 << 16;

}  // namespace farandole::gloo_transport

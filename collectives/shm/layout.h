#pragma once
// What lies where in the shared memory of a group:
//
//   Header | RankLines of each member | slots of member 0 | slots of member 1 | …
//
// Everything that a member reads of it besides data is either checked once, while it attaches, or
// compared only (flags); no index comes from here.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace farandole::shm {

inline constexpr size_t kPageBytes = 4096;
// Two lines: adjacent lines are fetched together.
inline constexpr size_t kLineBytes = 128;

struct Geometry {
  uint32_t members = 0;
  uint32_t slots = 0;  // of each member
  uint64_t slot_bytes = 0;

  bool operator==(const Geometry&) const = default;
  size_t control_bytes() const noexcept;
  size_t total_bytes() const noexcept;
  // Within the bounds in which no size overflows and the algorithms work.
  bool is_sane() const noexcept;
};

struct Header {
  uint64_t magic = 0;
  uint32_t version = 0;
  uint32_t members = 0;
  uint64_t group = 0;  // group_hash()
  uint32_t slots = 0;
  uint32_t reserved = 0;
  uint64_t slot_bytes = 0;
  // How all write to their slots, decided by member 0. A hint: any value is safe.
  alignas(kLineBytes) std::atomic<uint32_t> store_policy{0};
};

// Steps that a member has passed, written by it alone.
struct alignas(kLineBytes) FlagLine {
  std::atomic<uint32_t> step{0};
};

// Where a member sleeps. Apart from its flag, because it changes only when somebody does sleep.
struct alignas(kLineBytes) BellLine {
  std::atomic<uint32_t> rings{0};
  std::atomic<uint32_t> awaited{0};  // place of the member it waits for, plus 1; 0: awake
};

struct RankLines {
  FlagLine flag;
  BellLine bell;
};

static_assert(std::atomic<uint32_t>::is_always_lock_free);

inline constexpr uint64_t kMagic = 0x454c4f444e524146;  // "FARNDOLE"
inline constexpr uint32_t kVersion = 1;
inline constexpr uint32_t kMinSlots = 3;
inline constexpr uint32_t kMaxSlots = 64;
inline constexpr uint32_t kMaxMembers = 65536;
inline constexpr uint64_t kMaxSlotBytes = uint64_t{1} << 30;

inline size_t Geometry::control_bytes() const noexcept {
  const size_t used = sizeof(Header) + members * sizeof(RankLines);
  return (used + kPageBytes - 1) / kPageBytes * kPageBytes;
}

inline size_t Geometry::total_bytes() const noexcept {
  return control_bytes() + size_t{members} * slots * slot_bytes;
}

inline bool Geometry::is_sane() const noexcept {
  return members >= 1 && members <= kMaxMembers && slots >= kMinSlots && slots <= kMaxSlots &&
         slot_bytes >= kPageBytes && slot_bytes <= kMaxSlotBytes && slot_bytes % kPageBytes == 0;
}

// FNV-1a of job and tag: tells the memory of one group from that of another.
inline uint64_t group_hash(std::string_view job, std::string_view tag) noexcept {
  uint64_t hash = 0xcbf29ce484222325;
  const auto mix = [&hash](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
    hash = (hash ^ 0xff) * 0x100000001b3;
  };
  mix(job);
  mix(tag);
  return hash;
}

}  // namespace farandole::shm

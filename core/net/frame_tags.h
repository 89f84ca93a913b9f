#pragma once
// Tags of frames: what keeps the bytes of one direction of an authenticated connection as they were
// said, and in their order.

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/base/secret.h"
#include "core/net/bytes.h"
#include "core/net/mac.h"

namespace farandole::net {

inline constexpr size_t kTagBytes = 16;
using Tag = std::array<uint8_t, kTagBytes>;

// Tags of the frames of one direction: HMAC-SHA256(key, counter, header, body), cut to 16 bytes.
// The counter is not sent: a frame that is lost, repeated, moved or altered does not open.
class FrameSealer {
 public:
  explicit FrameSealer(const Secret& key) : mac_(key) {}
  Tag seal(ByteSpan header, ByteSpan body);

 private:
  Mac mac_;
  uint64_t counter_ = 0;
};

class FrameOpener {
 public:
  explicit FrameOpener(const Secret& key) : mac_(key) {}
  // False: the connection must be closed. A failed opener never opens again.
  bool open(ByteSpan header, ByteSpan body, ByteSpan tag);

 private:
  Mac mac_;
  uint64_t counter_ = 0;
  bool failed_ = false;
};

}  // namespace farandole::net

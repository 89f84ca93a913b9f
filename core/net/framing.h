#pragma once
// Frames: how messages lie on an authenticated byte stream.
//
//   u32 length of the body | u32 zero | body | zeros up to a multiple of 8 | 16-byte tag
//
// Lengths are big-endian. A frame's bodies are handed out 8-byte aligned. The tag covers header,
// body and padding, and a counter that is not sent (see FrameSealer).

#include <cstddef>
#include <optional>
#include <span>

#include "core/base/status.h"
#include "core/net/bytes.h"
#include "core/net/frame_tags.h"

namespace farandole::net {

inline constexpr size_t kFrameHeaderBytes = 8;

// Bytes on the wire of a frame whose body has `body` bytes. Requires: body < 2^32.
constexpr size_t frame_bytes(size_t body) noexcept {
  return kFrameHeaderBytes + (body + 7) / 8 * 8 + kTagBytes;
}

// Appends one frame.
void append_frame(Bytes& to, FrameSealer& sealer, ByteSpan body);

// Cuts a stream of bytes, however it is split, into frames. Its buffer grows as bytes arrive, never
// because a length says so. Thread: one at a time.
class FrameReader {
 public:
  FrameReader(const Secret& key, size_t max_body) : opener_(key), max_body_(max_body) {}

  // Where to put the next bytes; never empty. Invalidates bodies that next() gave.
  std::span<uint8_t> space();
  // `count` bytes were put there.
  void commit(size_t count) noexcept { end_ += count; }
  // For bytes that lie elsewhere: space() and commit() in one.
  void append(ByteSpan bytes);

  // The body of the next whole frame, valid until space() or append(); nullopt where more bytes are
  // needed. Fails, then and ever after: InvalidArgument (too long, malformed, tag does not match).
  Result<std::optional<ByteSpan>> next();

  size_t capacity() const noexcept { return buffer_.size(); }

 private:
  Status fail(Status why);

  FrameOpener opener_;
  size_t max_body_;
  Bytes buffer_;
  size_t begin_ = 0;  // of the next frame
  size_t end_ = 0;    // of the bytes that have come
  Status failed_;
};

}  // namespace farandole::net

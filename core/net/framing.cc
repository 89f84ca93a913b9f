#include "core/net/framing.h"

#include <algorithm>
#include <cstring>

#include "core/base/format.h"

namespace farandole::net {
namespace {

constexpr size_t kFirstBuffer = 16 << 10;
// A buffer that one large frame needed is given back.
constexpr size_t kKeptBuffer = 1 << 20;

}  // namespace

void append_frame(Bytes& to, FrameSealer& sealer, ByteSpan body) {
  const size_t begin = to.size();
  const size_t needed = begin + frame_bytes(body.size());
  // Not for this frame alone: a queue that grows frame by frame would be copied each time.
  if (needed > to.capacity())
    to.reserve(std::max(needed, 2 * to.capacity()));
  ByteWriter writer(to);
  writer.put(static_cast<uint32_t>(body.size()));
  writer.put(uint32_t{0});
  writer.put_bytes(body);
  to.resize(needed - kTagBytes);
  const ByteSpan frame = ByteSpan(to).subspan(begin);
  const Tag tag = sealer.seal(frame.first(kFrameHeaderBytes), frame.subspan(kFrameHeaderBytes));
  to.insert(to.end(), tag.begin(), tag.end());
}

std::span<uint8_t> FrameReader::space() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    if (buffer_.size() > kKeptBuffer)
      Bytes().swap(buffer_);
  }
  if (end_ == buffer_.size() && begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size())
    buffer_.resize(std::max(kFirstBuffer, 2 * buffer_.size()));
  return std::span(buffer_).subspan(end_);
}

void FrameReader::append(ByteSpan bytes) {
  while (!bytes.empty()) {
    const std::span<uint8_t> to = space();
    const size_t count = std::min(to.size(), bytes.size());
    std::copy_n(bytes.begin(), count, to.begin());
    commit(count);
    bytes = bytes.subspan(count);
  }
}

Status FrameReader::fail(Status why) {
  failed_ = std::move(why);
  return failed_;
}

Result<std::optional<ByteSpan>> FrameReader::next() {
  if (!failed_.is_ok())
    return failed_;
  const ByteSpan have = ByteSpan(buffer_).subspan(begin_, end_ - begin_);
  if (have.size() < kFrameHeaderBytes)
    return std::optional<ByteSpan>();
  ByteReader header(have);
  const size_t body = header.get<uint32_t>();
  const uint32_t reserved = header.get<uint32_t>();
  if (reserved != 0)
    return fail(error(Code::InvalidArgument, "a malformed frame came"));
  if (body > max_body_)
    return fail(error(
        Code::InvalidArgument, "a frame of {} bytes came; at most {} are taken", body, max_body_));
  const size_t whole = frame_bytes(body);
  if (have.size() < whole)
    return std::optional<ByteSpan>();
  const size_t padded = whole - kFrameHeaderBytes - kTagBytes;
  const ByteSpan content = have.subspan(kFrameHeaderBytes, padded);
  if (!opener_.open(
          have.first(kFrameHeaderBytes), content, have.subspan(whole - kTagBytes, kTagBytes)))
    return fail(error(Code::InvalidArgument, "a frame came that the peer did not send"));
  begin_ += whole;
  return std::optional(content.first(body));
}

}  // namespace farandole::net

#include "core/net/frame_tags.h"

#include <algorithm>

namespace farandole::net {
namespace {

Tag tag_of(Mac& mac, uint64_t counter, ByteSpan header, ByteSpan body) {
  std::array<uint8_t, 8> prefix;
  for (size_t i = 0; i < prefix.size(); ++i)
    prefix[i] = static_cast<uint8_t>(counter >> (56 - 8 * i));
  const Digest digest = mac.compute({prefix, header, body});
  Tag tag;
  std::copy_n(digest.begin(), kTagBytes, tag.begin());
  return tag;
}

}  // namespace

Tag FrameSealer::seal(ByteSpan header, ByteSpan body) {
  return tag_of(mac_, counter_++, header, body);
}

bool FrameOpener::open(ByteSpan header, ByteSpan body, ByteSpan tag) {
  if (failed_)
    return false;
  failed_ = !equal_in_constant_time(tag_of(mac_, counter_++, header, body), tag);
  return !failed_;
}

}  // namespace farandole::net

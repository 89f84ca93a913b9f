#include "core/net/mac.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/net/frame_tags.h"

namespace farandole::net {
namespace {

Secret key_of(uint8_t fill) {
  return Secret(Bytes(32, fill));
}

TEST(FrameTags, OpenOnlyInOrderUnalteredAndOnce) {
  const Secret key = key_of(5);
  const Bytes header = {1, 2, 3};
  const Bytes body = {4, 5, 6, 7};
  FrameSealer sealer(key);
  const Tag first = sealer.seal(header, body);
  const Tag second = sealer.seal(header, body);
  EXPECT_NE(first, second);

  FrameOpener in_order(key);
  EXPECT_TRUE(in_order.open(header, body, first));
  EXPECT_TRUE(in_order.open(header, body, second));
  EXPECT_FALSE(in_order.open(header, body, second));

  FrameOpener swapped(key);
  EXPECT_FALSE(swapped.open(header, body, second));
  EXPECT_FALSE(swapped.open(header, body, first)) << "a failed opener stays failed";

  for (size_t at = 0; at < header.size() + body.size() + kTagBytes; ++at) {
    Bytes h = header, b = body, t(first.begin(), first.end());
    (at < 3 ? h[at] : at < 7 ? b[at - 3] : t[at - 7]) ^= 0x80;
    EXPECT_FALSE(FrameOpener(key).open(h, b, t)) << at;
  }
  EXPECT_FALSE(FrameOpener(key_of(6)).open(header, body, first));
  EXPECT_FALSE(FrameOpener(key).open(header, body, ByteSpan(first).first(15)));
}

TEST(Mac, AgreesWithRfc4231AndRfc5869) {
  const auto filled = [](size_t count, uint8_t value) { return Bytes(count, value); };
  Mac mac(Secret(filled(20, 0x0b)));
  const Digest digest = mac.compute({as_bytes("Hi "), as_bytes("There")});
  const Bytes expected = {0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53};
  EXPECT_TRUE(std::ranges::equal(ByteSpan(digest).first(8), expected));
  EXPECT_EQ(mac.compute({as_bytes("Hi There")}), digest) << "reused";

  const Bytes salt = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const Bytes info = {0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9};
  const Secret derived = hkdf(Secret(filled(22, 0x0b)), salt, info);
  const Bytes okm = {0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a};
  EXPECT_TRUE(std::ranges::equal(derived.bytes().first(8), okm));
}

}  // namespace
}  // namespace farandole::net

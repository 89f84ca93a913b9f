#pragma once
// HMAC-SHA256, HKDF-SHA256 and constant-time comparison: the only uses of the crypto library.

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "core/base/secret.h"
#include "core/base/secret_memory.h"
#include "core/net/bytes.h"

namespace farandole::net {

constexpr size_t kDigestBytes = 32;
using Digest = std::array<uint8_t, kDigestBytes>;

// A keyed HMAC-SHA256 that is used many times. It keeps no key but the two states of the hash that
// come of it, where no core dump finds them. Movable. Thread: one at a time.
class Mac {
 public:
  explicit Mac(const Secret& key);
  // Over the concatenation of `parts`.
  Digest compute(std::initializer_list<ByteSpan> parts);

 private:
  SecretMemory states_;
};

// RFC 5869, 32 bytes of output.
Secret hkdf(const Secret& secret, ByteSpan salt, ByteSpan info);
Digest sha256(ByteSpan bytes);
// Takes as long whatever the bytes are. Requires: equal sizes.
bool equal_in_constant_time(ByteSpan a, ByteSpan b) noexcept;

}  // namespace farandole::net

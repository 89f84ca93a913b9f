// The hash by itself and not the library's HMAC, whose contexts keep the key in memory that every
// core dump holds.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "core/net/mac.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <type_traits>

namespace farandole::net {
namespace {

// RFC 2104: the states of the inner and outer hash once each has taken its padded key.
struct KeyedStates {
  SHA256_CTX inner;
  SHA256_CTX outer;
};
static_assert(std::is_trivial_v<KeyedStates>);

// In its place: of a state that is returned a copy may stay on the stack.
void begin_with(SHA256_CTX& state, std::array<uint8_t, SHA256_CBLOCK> block, uint8_t pad) {
  for (uint8_t& byte : block) byte ^= pad;
  SHA256_Init(&state);
  SHA256_Update(&state, block.data(), block.size());
  OPENSSL_cleanse(block.data(), block.size());
}

void begin(KeyedStates& states, ByteSpan key) {
  std::array<uint8_t, SHA256_CBLOCK> block{};
  if (key.size() > block.size())
    SHA256(key.data(), key.size(), block.data());
  else
    std::copy(key.begin(), key.end(), block.begin());
  begin_with(states.inner, block, 0x36);
  begin_with(states.outer, block, 0x5C);
  OPENSSL_cleanse(block.data(), block.size());
}

Digest finish(const KeyedStates& states, std::initializer_list<ByteSpan> parts) {
  Digest digest;
  SHA256_CTX state = states.inner;
  for (const ByteSpan part : parts) SHA256_Update(&state, part.data(), part.size());
  SHA256_Final(digest.data(), &state);
  state = states.outer;
  SHA256_Update(&state, digest.data(), digest.size());
  SHA256_Final(digest.data(), &state);
  OPENSSL_cleanse(&state, sizeof(state));
  return digest;
}

// For one use.
Digest hmac(ByteSpan key, std::initializer_list<ByteSpan> parts) {
  KeyedStates states;
  begin(states, key);
  const Digest digest = finish(states, parts);
  OPENSSL_cleanse(&states, sizeof(states));
  return digest;
}

KeyedStates& states_in(SecretMemory& memory) {
  return *reinterpret_cast<KeyedStates*>(memory.bytes().data());
}

}  // namespace

Mac::Mac(const Secret& key) : states_(sizeof(KeyedStates)) {
  begin(states_in(states_), key.bytes());
}

Digest Mac::compute(std::initializer_list<ByteSpan> parts) {
  return finish(states_in(states_), parts);
}

Secret hkdf(const Secret& secret, ByteSpan salt, ByteSpan info) {
  constexpr std::array<uint8_t, 1> kFirst = {1};
  Digest key = hmac(salt, {secret.bytes()});
  Digest out = hmac(key, {info, kFirst});
  Secret derived(out);
  OPENSSL_cleanse(key.data(), key.size());
  OPENSSL_cleanse(out.data(), out.size());
  return derived;
}

Digest sha256(ByteSpan bytes) {
  Digest digest;
  SHA256(bytes.data(), bytes.size(), digest.data());
  return digest;
}

bool equal_in_constant_time(ByteSpan a, ByteSpan b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace farandole::net

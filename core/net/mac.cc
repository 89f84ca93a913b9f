#include "core/net/mac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <cstdlib>

#include "core/base/log.h"

namespace farandole::net {
namespace {

void require(bool fine, const char* call) {
  if (fine)
    return;
  FARANDOLE_LOG(Fatal, "the crypto library failed in {}", call);
  std::abort();
}

OSSL_PARAM octets(const char* name, ByteSpan bytes) {
  return OSSL_PARAM_construct_octet_string(name, const_cast<uint8_t*>(bytes.data()), bytes.size());
}

OSSL_PARAM digest_name() {
  static char name[] = "SHA256";
  return OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, name, 0);
}

}  // namespace

void Mac::Free::operator()(evp_mac_ctx_st* context) const noexcept {
  EVP_MAC_CTX_free(context);
}

Mac::Mac(const Secret& key) {
  EVP_MAC* const mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  require(mac != nullptr, "EVP_MAC_fetch");
  context_.reset(EVP_MAC_CTX_new(mac));
  EVP_MAC_free(mac);  // the context holds it
  require(context_ != nullptr, "EVP_MAC_CTX_new");
  const OSSL_PARAM params[] = {digest_name(), OSSL_PARAM_construct_end()};
  const ByteSpan bytes = key.bytes();
  require(EVP_MAC_init(context_.get(), bytes.data(), bytes.size(), params) == 1, "EVP_MAC_init");
}

Digest Mac::compute(std::initializer_list<ByteSpan> parts) {
  EVP_MAC_CTX* const context = context_.get();
  require(EVP_MAC_init(context, nullptr, 0, nullptr) == 1, "EVP_MAC_init");
  for (const ByteSpan part : parts)
    require(EVP_MAC_update(context, part.data(), part.size()) == 1, "EVP_MAC_update");
  Digest digest;
  size_t size = 0;
  require(EVP_MAC_final(context, digest.data(), &size, digest.size()) == 1, "EVP_MAC_final");
  require(size == digest.size(), "EVP_MAC_final");
  return digest;
}

Secret hkdf(const Secret& secret, ByteSpan salt, ByteSpan info) {
  EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  require(kdf != nullptr, "EVP_KDF_fetch");
  EVP_KDF_CTX* const context = EVP_KDF_CTX_new(kdf);
  EVP_KDF_free(kdf);
  require(context != nullptr, "EVP_KDF_CTX_new");
  const OSSL_PARAM params[] = {
      digest_name(),
      octets(OSSL_KDF_PARAM_KEY, secret.bytes()),
      octets(OSSL_KDF_PARAM_SALT, salt),
      octets(OSSL_KDF_PARAM_INFO, info),
      OSSL_PARAM_construct_end()};
  Digest out;
  const int rc = EVP_KDF_derive(context, out.data(), out.size(), params);
  EVP_KDF_CTX_free(context);
  require(rc == 1, "EVP_KDF_derive");
  Secret derived(out);
  OPENSSL_cleanse(out.data(), out.size());
  return derived;
}

Digest sha256(ByteSpan bytes) {
  Digest digest;
  unsigned size = 0;
  const int rc =
      EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr);
  require(rc == 1 && size == digest.size(), "EVP_Digest");
  return digest;
}

bool equal_in_constant_time(ByteSpan a, ByteSpan b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace farandole::net

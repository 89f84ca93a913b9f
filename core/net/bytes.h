#pragma once
// Bounded reading and writing of big-endian integers: what the hand-written decoders (handshake,
// frame header, beats) are made of. A reader that ran out stays failed and gives zeros.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace farandole::net {

using Bytes = std::vector<uint8_t>;
using ByteSpan = std::span<const uint8_t>;

inline ByteSpan as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

class ByteWriter {
 public:
  explicit ByteWriter(Bytes& to) : to_(to) {}

  template <typename T>
  void put(T value) {
    for (size_t i = sizeof(T); i-- > 0;)
      to_.push_back(static_cast<uint8_t>(static_cast<uint64_t>(value) >> (8 * i)));
  }
  void put_bytes(ByteSpan bytes) { to_.insert(to_.end(), bytes.begin(), bytes.end()); }
  // One byte of length, then the text. Requires: at most 255 bytes.
  void put_text(std::string_view text) {
    put(static_cast<uint8_t>(text.size()));
    put_bytes(as_bytes(text));
  }

 private:
  Bytes& to_;
};

class ByteReader {
 public:
  explicit ByteReader(ByteSpan from) : from_(from) {}

  template <typename T>
  T get() {
    uint64_t value = 0;
    for (const uint8_t byte : take(sizeof(T))) value = value << 8 | byte;
    return static_cast<T>(value);
  }
  // Exactly `count` bytes, or none where fewer are left.
  ByteSpan take(size_t count) {
    if (failed_ || count > from_.size()) {
      failed_ = true;
      return {};
    }
    const ByteSpan taken = from_.first(count);
    from_ = from_.subspan(count);
    return taken;
  }
  std::string get_text() {
    const ByteSpan text = take(get<uint8_t>());
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }
  bool failed() const noexcept { return failed_; }
  // Everything was read, and nothing is left.
  bool finished() const noexcept { return !failed_ && from_.empty(); }

 private:
  ByteSpan from_;
  bool failed_ = false;
};

}  // namespace farandole::net

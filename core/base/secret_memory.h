#pragma once
// SecretMemory: pages of their own for keys: left out of core dumps, and wiped before they go back
// to the kernel. Nothing else lies on them.

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace farandole {

// Movable. Thread: one at a time.
class SecretMemory {
 public:
  SecretMemory() = default;
  // Zeros. Fails: std::bad_alloc.
  explicit SecretMemory(size_t bytes);
  SecretMemory(SecretMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  SecretMemory& operator=(SecretMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~SecretMemory();

  std::span<uint8_t> bytes() noexcept { return {data_, bytes_}; }
  std::span<const uint8_t> bytes() const noexcept { return {data_, bytes_}; }

 private:
  uint8_t* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace farandole

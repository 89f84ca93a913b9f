// SecretMemory of core/base, on the heap: the keys of virtual connections are no secrets, and pages
// of their own for each would take a third of the simulator's time.

#include "core/base/secret_memory.h"

#include <utility>

namespace farandole {

SecretMemory::SecretMemory(size_t bytes) : data_(new uint8_t[bytes]()), bytes_(bytes) {}

SecretMemory::SecretMemory(SecretMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

SecretMemory& SecretMemory::operator=(SecretMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

SecretMemory::~SecretMemory() {
  delete[] data_;
}

}  // namespace farandole

#include "core/base/secret_memory.h"

#include <string.h>
#include <sys/mman.h>

#include <new>
#include <utility>

#include "core/base/failpoint.h"

namespace farandole {

SecretMemory::SecretMemory(size_t bytes) : bytes_(bytes) {
  if (bytes == 0)
    return;
  void* const pages = FARANDOLE_FAIL_CALL(
      "secret_memory.mmap",
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (pages == MAP_FAILED)
    throw std::bad_alloc();
  data_ = static_cast<uint8_t*>(pages);
  // Where the kernel knows no such advice, the pages serve all the same.
  (void)FARANDOLE_FAIL_CALL("secret_memory.madvise", madvise(pages, bytes, MADV_DONTDUMP));
}

SecretMemory::SecretMemory(SecretMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

SecretMemory& SecretMemory::operator=(SecretMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

SecretMemory::~SecretMemory() {
  if (data_ == nullptr)
    return;
  explicit_bzero(data_, bytes_);
  munmap(data_, bytes_);
}

}  // namespace farandole

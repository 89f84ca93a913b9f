#include "core/base/secret_memory.h"

#include <string.h>
#include <sys/mman.h>

#include <new>

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

SecretMemory::~SecretMemory() {
  if (data_ == nullptr)
    return;
  explicit_bzero(data_, bytes_);
  munmap(data_, bytes_);
}

}  // namespace farandole

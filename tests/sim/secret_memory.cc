// SecretMemory of core/base, on the heap: the keys of virtual connections are no secrets, and pages
// of their own for each would take a third of the simulator's time.

#include "core/base/secret_memory.h"

namespace farandole {

SecretMemory::SecretMemory(size_t bytes) : data_(new uint8_t[bytes]()), bytes_(bytes) {}

SecretMemory::~SecretMemory() {
  delete[] data_;
}

}  // namespace farandole

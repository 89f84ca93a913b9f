// SecretMemory of core/base, on the heap: the keys of virtual connections are no secrets, and pages
// of their own for each would take a third of the simulator's time.

#include "core/base/secret_memory.h"

#include <utility>

#include "tests/sim/key_watch.h"

namespace farandole {
namespace {

thread_local sim::KeyWatch::Gone key_gone;

}  // namespace

sim::KeyWatch::KeyWatch(Gone gone) {
  key_gone = std::move(gone);
}

sim::KeyWatch::~KeyWatch() {
  key_gone = nullptr;
}

SecretMemory::SecretMemory(size_t bytes) : data_(new uint8_t[bytes]()), bytes_(bytes) {}

SecretMemory::~SecretMemory() {
  if (key_gone && data_ != nullptr)
    key_gone({data_, bytes_});
  delete[] data_;
}

}  // namespace farandole

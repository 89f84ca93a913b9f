#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "collectives/cpu/copy.cc"

#include "collectives/cpu/copy.h"

#include <cstdint>
#include <cstring>

#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace farandole::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Streams whole vectors; the ragged ends go through the caches.
void stream_copy(uint8_t* HWY_RESTRICT to, const uint8_t* HWY_RESTRICT from, size_t bytes) {
  const hn::ScalableTag<uint8_t> d;
  const size_t lanes = hn::Lanes(d);
  const size_t head = (lanes - reinterpret_cast<uintptr_t>(to) % lanes) % lanes;
  std::memcpy(to, from, head);
  size_t i = head;
  for (; i + 4 * lanes <= bytes; i += 4 * lanes) {
    const auto a = hn::LoadU(d, from + i);
    const auto b = hn::LoadU(d, from + i + lanes);
    const auto c = hn::LoadU(d, from + i + 2 * lanes);
    const auto e = hn::LoadU(d, from + i + 3 * lanes);
    hn::Stream(a, d, to + i);
    hn::Stream(b, d, to + i + lanes);
    hn::Stream(c, d, to + i + 2 * lanes);
    hn::Stream(e, d, to + i + 3 * lanes);
  }
  std::memcpy(to + i, from + i, bytes - i);
}

}  // namespace HWY_NAMESPACE
}  // namespace farandole::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace farandole::cpu {
namespace {

HWY_EXPORT(stream_copy);
// Below this a stream gains nothing over the cost of its ends.
constexpr size_t kStreamBytes = 1024;

}  // namespace

void copy(void* to, const void* from, size_t bytes, StorePolicy policy) {
  if (bytes == 0)
    return;
  if (policy == StorePolicy::Plain || bytes < kStreamBytes) {
    std::memcpy(to, from, bytes);
    return;
  }
  HWY_DYNAMIC_DISPATCH(stream_copy)
  (static_cast<uint8_t*>(to), static_cast<const uint8_t*>(from), bytes);
}

void finish_stores() {
  hwy::FlushStream();
}

}  // namespace farandole::cpu
#endif

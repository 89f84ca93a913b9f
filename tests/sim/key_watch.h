#pragma once
// KeyWatch: notices that nobody holds the keys of a virtual connection any more: its Established
// was dropped, which would have closed its descriptor.

#include <cstdint>
#include <functional>
#include <span>

namespace farandole::sim {

// One per thread at a time.
class KeyWatch {
 public:
  using Gone = std::function<void(std::span<const uint8_t> key)>;
  explicit KeyWatch(Gone gone);
  ~KeyWatch();
  KeyWatch(const KeyWatch&) = delete;
  KeyWatch& operator=(const KeyWatch&) = delete;
};

}  // namespace farandole::sim

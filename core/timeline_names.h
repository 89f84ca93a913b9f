#pragma once
// TimelineNames: numbers for the names of a recording, so that records are small.

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/base/mutex.h"

namespace farandole {

// Thread: any.
class TimelineNames {
 public:
  // Names that a recording has at most; the tensors of others are left out of it.
  static constexpr uint32_t kMost = 1 << 16;
  static constexpr size_t kMostBytes = 16 << 20;
  static constexpr uint32_t kNone = UINT32_MAX;

  // The number of a name, from 0 on, or kNone where there is no room. Fails: bad_alloc.
  uint32_t number(uint32_t process_set, std::string_view name);
  // Requires: number() gave it since the last clear().
  std::pair<uint32_t, std::string> at(uint32_t number) const;
  void clear();

 private:
  using View = std::pair<uint32_t, std::string_view>;
  struct Hash {
    size_t operator()(const View& key) const noexcept {
      return std::hash<std::string_view>()(key.second) ^ (size_t{key.first} << 32);
    }
  };

  mutable Mutex mutex_;
  std::deque<std::pair<uint32_t, std::string>> names_ FARANDOLE_GUARDED_BY(mutex_);  // stay put
  std::unordered_map<View, uint32_t, Hash> numbers_ FARANDOLE_GUARDED_BY(mutex_);
  size_t bytes_ FARANDOLE_GUARDED_BY(mutex_) = 0;
};

}  // namespace farandole

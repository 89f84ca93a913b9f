#pragma once
// Key: what names a tensor: its process set and its name.

#include <cstdint>
#include <functional>
#include <string>
#include <tuple>

namespace farandole::control {

struct Key {
  uint32_t process_set = 0;
  std::string name;
  auto operator<=>(const Key&) const = default;
};

struct KeyHash {
  size_t operator()(const Key& key) const noexcept {
    return std::hash<std::string>{}(key.name) ^ (size_t{key.process_set} * 0x9E3779B97F4A7C15ULL);
  }
};

}  // namespace farandole::control

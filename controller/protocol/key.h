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
  bool operator==(const Key&) const = default;
  bool operator<(const Key& other) const {
    return std::tie(process_set, name) < std::tie(other.process_set, other.name);
  }
};

struct KeyHash {
  size_t operator()(const Key& key) const noexcept {
    return std::hash<std::string>{}(key.name) ^ (size_t{key.process_set} * 0x9E3779B97F4A7C15ULL);
  }
};

}  // namespace farandole::control

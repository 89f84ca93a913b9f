#pragma once
// How many descriptors this process has open.

#include <cstddef>
#include <filesystem>
#include <iterator>

namespace farandole::testing {

inline size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

}  // namespace farandole::testing

#pragma once
// Input: the bytes of one execution, read as a script: which step comes next, with which values.
// Where it has run out it gives zeros, so that every input is a script and shorter ones are
// simpler.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace farandole::fuzz {

class Input {
 public:
  explicit Input(std::span<const uint8_t> bytes) : left_(bytes) {}

  bool empty() const noexcept { return left_.empty(); }

  template <typename T>
  T number() {
    T value{};
    const auto from = take(sizeof(T));
    if (!from.empty())
      std::memcpy(&value, from.data(), from.size());
    return value;
  }
  uint8_t byte() { return number<uint8_t>(); }
  bool flag() { return (byte() & 1) != 0; }
  // Requires: n > 0.
  size_t below(size_t n) { return n <= 256 ? byte() % n : number<uint32_t>() % n; }
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(below(static_cast<size_t>(high - low + 1)));
  }
  template <typename Values>
  const auto& one_of(const Values& values) {
    return values[below(std::size(values))];
  }

  // The next bytes, or what is left of them.
  std::span<const uint8_t> take(size_t most) {
    const auto taken = left_.first(std::min(most, left_.size()));
    left_ = left_.subspan(taken.size());
    return taken;
  }
  // As many bytes as the input says, at most `most`.
  std::vector<uint8_t> bytes(size_t most) {
    const auto taken = take(below(most + 1));
    return {taken.begin(), taken.end()};
  }
  std::string text(size_t most) {
    const auto taken = take(below(most + 1));
    return {taken.begin(), taken.end()};
  }
  std::string rest() {
    const auto taken = take(left_.size());
    return {taken.begin(), taken.end()};
  }

 private:
  std::span<const uint8_t> left_;
};

}  // namespace farandole::fuzz

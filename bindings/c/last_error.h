#pragma once
// What a thread is told of its last failing call.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "bindings/c/include/farandole/farandole.h"

namespace farandole::capi {

// Has no destructor: handlers of atexit and destructors of static objects may call when those of
// the thread's own variables have run.
class LastError {
 public:
  void set(std::string_view text, int rank) noexcept {
    rank_ = rank;
    const size_t length = std::min(text.size(), text_.size() - 1);
    std::copy_n(text.data(), length, text_.data());
    text_[length] = 0;
    if (length < text.size())
      cut(length);
  }
  const char* text() const noexcept { return text_.data(); }
  int rank() const noexcept { return rank_; }

 private:
  // Not within a character of UTF-8.
  void cut(size_t length) noexcept {
    size_t end = length - kCut.size();
    while (end > 0 && (static_cast<uint8_t>(text_[end]) & 0xC0) == 0x80) --end;
    *std::copy(kCut.begin(), kCut.end(), text_.data() + end) = 0;
  }

  static constexpr std::string_view kCut = "...";

  std::array<char, FDL_MAX_ERROR_BYTES> text_{};
  int rank_ = -1;
};

}  // namespace farandole::capi

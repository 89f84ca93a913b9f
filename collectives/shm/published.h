#pragma once
// Published: what members tell each other through the Store while a group forms: how far they got,
// and where that is well, a text. One line: the number of the code, a space, text or message.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace farandole::shm {

struct Published {
  Status status;
  std::string text;  // empty unless status is Ok

  bool operator==(const Published&) const = default;
  std::vector<uint8_t> to_bytes() const;
  // Fails: Mismatch.
  static Result<Published> from_bytes(std::span<const uint8_t> bytes);
};

}  // namespace farandole::shm

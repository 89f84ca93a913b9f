#pragma once
// Bytes as tests of formats write them.

#include <string>

#include "core/net/bytes.h"

namespace farandole::net {

inline std::string hex(ByteSpan bytes) {
  std::string text;
  for (const uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

}  // namespace farandole::net

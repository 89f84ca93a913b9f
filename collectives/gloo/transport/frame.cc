#include "collectives/gloo/transport/frame.h"

namespace farandole::gloo_transport {
namespace {

constexpr std::array<uint8_t, 4> kMagic{'F', 'd', 'g', '1'};

void put(uint8_t* to, uint64_t value) noexcept {
  for (int i = 0; i < 8; ++i) to[i] = static_cast<uint8_t>(value >> (8 * i));
}

uint64_t get(const uint8_t* from) noexcept {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value |= static_cast<uint64_t>(from[i]) << (8 * i);
  return value;
}

}  // namespace

// magic 4, opcode 1, reserved 3, slot 8, length 8, offset 8
FrameBytes encode(const Frame& frame) noexcept {
  FrameBytes bytes{kMagic[0], kMagic[1], kMagic[2], kMagic[3], static_cast<uint8_t>(frame.opcode)};
  put(&bytes[8], frame.slot);
  put(&bytes[16], frame.length);
  put(&bytes[24], frame.offset);
  return bytes;
}

bool decode(const uint8_t* bytes, Frame& frame) noexcept {
  for (size_t i = 0; i < kMagic.size(); ++i)
    if (bytes[i] != kMagic[i])
      return false;
  const uint8_t opcode = bytes[4];
  if (opcode < static_cast<uint8_t>(Opcode::Data) || opcode > static_cast<uint8_t>(Opcode::Leave))
    return false;
  if (bytes[5] != 0 || bytes[6] != 0 || bytes[7] != 0)
    return false;
  frame = {static_cast<Opcode>(opcode), get(bytes + 8), get(bytes + 16), get(bytes + 24)};
  return true;
}

}  // namespace farandole::gloo_transport

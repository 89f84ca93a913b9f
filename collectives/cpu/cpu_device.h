#pragma once
// CpuDevice: plain memory of this process.

#include "core/device.h"

namespace farandole::cpu {

class CpuDevice final : public Device {
 public:
  DeviceId id() const noexcept override { return {DeviceType::Cpu, 0}; }
  Result<Buffer> allocate(size_t bytes) override;
  Status pack(
      std::span<const Segment> segments, DType dtype, void* to, StreamHandle stream) override;
  Status unpack(
      const void* from,
      std::span<const Segment> segments,
      DType dtype,
      StreamHandle stream) override;
  Status fill(
      void* to, std::span<const std::byte> element, size_t count, StreamHandle stream) override;
};

}  // namespace farandole::cpu

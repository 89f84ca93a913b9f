#pragma once
// Device: memory of one kind and what is done to it besides communicating.

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "core/base/status.h"
#include "core/base/types.h"
#include "core/communicator.h"

namespace farandole {

// Owned memory of a device, aligned to 64 bytes. Movable. As results do it may outlive the session:
// what frees it keeps whatever it needs of the device.
struct Buffer {
  std::unique_ptr<void, std::function<void(void*)>> data{nullptr, [](void*) {}};
  size_t bytes = 0;
};

// Thread: any.
class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceId id() const noexcept = 0;
  // Fails: System with the size wanted. 0 bytes give a buffer with null data.
  virtual Result<Buffer> allocate(size_t bytes) = 0;
  // Inputs of all segments, one behind the other, to `to`; and back to their outputs.
  virtual Status pack(
      std::span<const Segment> segments, DType dtype, void* to, StreamHandle stream) = 0;
  virtual Status unpack(
      const void* from, std::span<const Segment> segments, DType dtype, StreamHandle stream) = 0;
  // `count` times the bytes of `element`.
  virtual Status fill(
      void* to, std::span<const std::byte> element, size_t count, StreamHandle stream) = 0;
};

}  // namespace farandole

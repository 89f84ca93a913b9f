#include "collectives/cpu/cpu_device.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "core/base/format.h"

namespace farandole::cpu {
namespace {

constexpr size_t kAlignment = 64;

}  // namespace

Result<Buffer> CpuDevice::allocate(size_t bytes) {
  Buffer buffer;
  if (bytes == 0)
    return buffer;
  void* memory = nullptr;
  if (bytes <= std::numeric_limits<size_t>::max() - kAlignment)
    memory = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  if (memory == nullptr)
    return error(Code::System, "no memory for a buffer of {} bytes", bytes);
  buffer.data = {memory, [](void* p) { std::free(p); }};
  buffer.bytes = bytes;
  return buffer;
}

Status CpuDevice::pack(std::span<const Segment> segments, DType dtype, void* to, StreamHandle) {
  char* next = static_cast<char*>(to);
  for (const Segment& segment : segments) {
    const size_t bytes = segment.count * size_of(dtype);
    if (bytes != 0)
      std::memcpy(next, segment.in, bytes);
    next += bytes;
  }
  return Status::ok();
}

Status CpuDevice::unpack(
    const void* from, std::span<const Segment> segments, DType dtype, StreamHandle) {
  const char* next = static_cast<const char*>(from);
  for (const Segment& segment : segments) {
    const size_t bytes = segment.count * size_of(dtype);
    if (bytes != 0)
      std::memcpy(segment.out, next, bytes);
    next += bytes;
  }
  return Status::ok();
}

// Doubles what is there already.
Status CpuDevice::fill(void* to, std::span<const std::byte> element, size_t count, StreamHandle) {
  const size_t bytes = element.size() * count;
  char* const out = static_cast<char*>(to);
  for (size_t done = 0; done < bytes;) {
    const size_t piece = done == 0 ? element.size() : std::min(done, bytes - done);
    std::memcpy(out + done, done == 0 ? static_cast<const void*>(element.data()) : out, piece);
    done += piece;
  }
  return Status::ok();
}

}  // namespace farandole::cpu

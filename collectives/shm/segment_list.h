#pragma once
// SegmentList: the segments of an operation seen as one row of bytes.

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "core/communicator.h"

namespace farandole::shm {

// Keeps its memory from one operation to the next. Requires: the segments outlive their use.
class SegmentList {
 public:
  void assign(std::span<const Segment> segments, size_t element_bytes) {
    segments_ = segments;
    begins_.clear();
    bytes_ = 0;
    for (const Segment& segment : segments) {
      begins_.push_back(bytes_);
      bytes_ += segment.count * element_bytes;
    }
  }

  size_t bytes() const noexcept { return bytes_; }

  // Calls body(in, out, bytes) for the pieces that make up [begin, begin + bytes), in order; null
  // where a segment has no such memory.
  template <typename Body>
  void for_range(size_t begin, size_t bytes, Body&& body) const {
    if (bytes == 0)
      return;
    const size_t end = begin + bytes;
    size_t i = segments_.size() == 1 ? 0 : holder_of(begin);
    for (; begin < end; ++i) {
      const size_t segment_end = i + 1 < begins_.size() ? begins_[i + 1] : bytes_;
      const size_t part = std::min(end, segment_end) - begin;
      if (part == 0)
        continue;  // an empty segment
      const size_t offset = begin - begins_[i];
      const auto* in = static_cast<const std::byte*>(segments_[i].in);
      auto* out = static_cast<std::byte*>(segments_[i].out);
      body(in ? in + offset : nullptr, out ? out + offset : nullptr, part);
      begin += part;
    }
  }

 private:
  // The last segment that begins at `offset` or before.
  size_t holder_of(size_t offset) const {
    const auto after = std::upper_bound(begins_.begin(), begins_.end(), offset);
    return static_cast<size_t>(after - begins_.begin()) - 1;
  }

  std::span<const Segment> segments_;
  std::vector<size_t> begins_;
  size_t bytes_ = 0;
};

}  // namespace farandole::shm

#include "collectives/cpu/adasum_layout.h"

#include <numeric>

namespace farandole::cpu {
namespace {

// Segments of so many bytes together are gathered whole: the time goes into waiting for each other.
constexpr size_t kWholeBytes = 8192;

}  // namespace

Range cut(size_t count, size_t part, size_t parts) noexcept {
  const auto begin = [&](size_t p) { return count / parts * p + count % parts * p / parts; };
  return {begin(part), begin(part + 1) - begin(part)};
}

AdasumLayout::AdasumLayout(const CollectiveOp& op, size_t members, size_t index)
    : lengths(members) {
  for (const Segment& segment : op.segments) total += segment.count;
  whole = total * size_of(op.dtype) <= kWholeBytes;
  width = whole ? members : 1;
  size_t segments_before = 0;
  for (const Segment& segment : op.segments) {
    for (size_t part = 0; part < members; ++part) {
      const Range range = cut(segment.count, part, members);
      if (whole)
        pieces.push_back({part, {segments_before + range.begin, range.count}});
      else if (part == index)
        pieces.push_back({part, {lengths[part], range.count}});
      lengths[part] += range.count;
    }
    segments_before += segment.count;
  }
  held = whole ? total : lengths[index];
  before =
      std::accumulate(lengths.begin(), lengths.begin() + static_cast<ptrdiff_t>(index), size_t{0});
}

}  // namespace farandole::cpu

#pragma once
// AdasumLayout: which parts of an operation's segments a member works on, and where they lie in its
// vectors. Pure; all members compute the same, but for their own places.

#include <cstddef>
#include <span>
#include <vector>

#include "core/communicator.h"

namespace farandole::cpu {

// A contiguous range of elements.
struct Range {
  size_t begin = 0;
  size_t count = 0;
};

// Part `part` of `parts` of so many elements; all but equal ones, one behind the other.
Range cut(size_t count, size_t part, size_t parts) noexcept;

struct AdasumLayout {
  // A part of a segment, where it lies in each vector.
  struct Piece {
    size_t part = 0;
    Range place;
  };

  AdasumLayout(const CollectiveOp& op, size_t members, size_t index);

  // Of the segment; as many for each.
  std::span<const Piece> pieces_of(size_t segment) const {
    return std::span(pieces).subspan(segment * width, width);
  }

  size_t total = 0;             // elements of all segments
  bool whole = false;           // everybody works on all parts
  size_t width = 1;             // parts of a segment that are worked on
  size_t held = 0;              // elements of a vector
  size_t before = 0;            // elements of the parts before the own one
  std::vector<size_t> lengths;  // elements of each part, over all segments
  std::vector<Piece> pieces;
};

}  // namespace farandole::cpu

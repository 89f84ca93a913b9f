// Several tensors as one row of bytes.
#include "collectives/shm/segment_list.h"

#include <gtest/gtest.h>

#include <array>
#include <tuple>
#include <vector>

namespace farandole::shm {
namespace {

using Piece = std::tuple<const std::byte*, std::byte*, size_t>;

TEST(SegmentList, GivesPiecesOfARange) {
  std::array<std::byte, 16> in{}, out{};
  const std::array<Segment, 4> segments{
      {{nullptr, nullptr, 0},
       {in.data(), out.data(), 4},
       {nullptr, nullptr, 0},
       {nullptr, nullptr, 8}}};
  SegmentList list;
  list.assign(segments, 1);
  EXPECT_EQ(list.bytes(), 12U);
  std::vector<Piece> pieces;
  list.for_range(1, 9, [&](const std::byte* from, std::byte* to, size_t bytes) {
    pieces.emplace_back(from, to, bytes);
  });
  EXPECT_EQ(
      pieces, (std::vector<Piece>{{in.data() + 1, out.data() + 1, 3}, {nullptr, nullptr, 6}}));
}

TEST(SegmentList, HasNoMemoryBehindNone) {
  const Segment segment{nullptr, nullptr, 8};
  SegmentList list;
  list.assign({&segment, 1}, 1);
  list.for_range(5, 3, [](const std::byte* in, const std::byte* out, size_t bytes) {
    EXPECT_EQ(in, nullptr);
    EXPECT_EQ(out, nullptr);
    EXPECT_EQ(bytes, 3U);
  });
}

}  // namespace
}  // namespace farandole::shm

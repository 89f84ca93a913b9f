#pragma once
// The cases of the contract suite: one struct, every combination of its values, or so few of them
// that each pair of values still occurs.

#include <cstddef>
#include <string>
#include <vector>

#include "core/base/types.h"

namespace farandole::testing {

// Elements of a tensor, in terms of the chunk in which a communicator may move it.
enum class Size : uint8_t { None, One, Odd, Chunk, ChunkAndOne, SeveralChunks };
inline constexpr int kSizeCount = 6;
size_t elements_of(Size size, DType dtype, size_t chunk_bytes);

struct Case {
  CollectiveKind kind = CollectiveKind::Allreduce;
  ReduceOp op = ReduceOp::Sum;
  DType dtype = DType::Float32;
  Size size = Size::One;
  bool in_place = false;
  bool scaled = false;
  bool ragged = false;
  bool several = false;  // segments

  bool operator==(const Case&) const = default;
  // One segment, and counts that say what goes where.
  bool has_counts() const noexcept {
    return gathers(kind) || kind == CollectiveKind::Reducescatter ||
           kind == CollectiveKind::Alltoall || kind == CollectiveKind::Scatter;
  }
  std::string to_string() const;
};

// The case with all values reset that its kind does not look at; an operation without a meaning
// becomes Sum.
Case normalised(Case c);

// Every combination of `kind`, each once.
std::vector<Case> all_cases(CollectiveKind kind);

// Rows of values, row[p] in [0, domains[p]), such that each pair of values of two parameters occurs
// in some row. Greedy, deterministic.
std::vector<std::vector<int>> pairwise(const std::vector<int>& domains);

// All pairs over all kinds.
std::vector<Case> pairwise_cases();

}  // namespace farandole::testing

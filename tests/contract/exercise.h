#pragma once
// Exercise: one case made concrete for all ranks: inputs, outputs with guards, the operation of
// each rank, and the judgement of what came out.

#include <optional>
#include <string>
#include <vector>

#include "core/communicator.h"
#include "tests/contract/cases.h"
#include "tests/support/arithmetic.h"

namespace farandole::testing {

class Exercise {
 public:
  Exercise(const Case& c, int ranks, size_t chunk_bytes, bool takes_segments, uint64_t seed);
  Exercise(Exercise&&) = default;
  Exercise(const Exercise&) = delete;
  Exercise& operator=(const Exercise&) = delete;

  // Thread: one rank each, at once.
  CollectiveOp op_of(int rank) const;
  // What is wrong, or nothing.
  std::optional<std::string> judge() const;
  const Case& what() const noexcept { return case_; }
  // Result of one rank, its segments joined.
  Bytes result_of(int rank) const;

 private:
  struct Side {
    std::vector<Bytes> in;   // one per segment
    std::vector<Bytes> out;  // with a guard behind each; empty where in place
    std::vector<Segment> segments;
  };

  int root() const noexcept { return ranks_ / 2; }
  bool has_result(int rank) const noexcept { return !ends_at_root(case_.kind) || rank == root(); }
  size_t sum_of_counts() const;
  std::vector<size_t> make_counts(size_t elements) const;
  std::vector<size_t> split(size_t elements) const;
  size_t input_elements(int rank) const;
  size_t output_elements(int rank) const;
  // Where, in elements, the smaller side of what has counts lies in the larger one, in place.
  size_t own_offset(int rank) const;
  void lay_out(int rank);
  Bytes expected_moved(int rank) const;
  std::optional<std::string> judge_adasum(const Reduction& reduction, const Bytes& got) const;
  std::optional<std::string> judge_rank(int rank) const;

  Case case_;
  int ranks_;
  bool takes_segments_;
  size_t elements_;
  std::vector<size_t> counts_;
  std::vector<Bytes> values_;  // of each rank, as they were before the operation
  std::vector<Side> sides_;
};

}  // namespace farandole::testing

#pragma once
// The arithmetic of reductions on the CPU, for every dtype and operation, in one call.

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/status.h"
#include "core/base/types.h"

namespace farandole::cpu {

// How a result is written. NonTemporal goes around the caches: better for lines that another core
// holds when that core is far, worse when it is near.
enum class StorePolicy : uint8_t { Plain, NonTemporal };

struct ReduceSpec {
  DType dtype = DType::Float32;
  ReduceOp op = ReduceOp::Sum;
  double prescale = 1.0;
  double postscale = 1.0;
  size_t members = 1;  // what Average divides by; need not be the number of sources

  bool operator==(const ReduceSpec&) const = default;
};

// Whether reduce() can do it. Fails: Unsupported for an operation that has no meaning for the
// dtype, or that does not work element by element (adasum.h does that), InvalidArgument for a
// scaled bool or no members.
Status check(const ReduceSpec& spec);

// dst[i] = postscale * (op over k of (prescale * sources[k][i])), k in the order given; Average is
// Sum divided by `members`. One source is allowed: that only scales.
//   float16, bfloat16   computed in float32, rounded once (to nearest, ties to even).
//   float32, float64    computed in themselves; scales of float32 are rounded to float32. Min and
//                       Max give NaN where any source has it.
//   integers            Sum and Product wrap; Average divides the exact sum of the sources,
//                       truncating towards zero; each scale is applied in double, truncating and
//                       saturating (NaN gives 0).
//   bool                Sum and Max are "or", Product and Min are "and"; any byte but 0 is true.
//   complex             Sum, Average and Product by the schoolbook formula.
// The same bits whatever the split of the array, the alignment and the instruction set; only the
// payload of a NaN may differ.
// Thread: any. Requires: check(spec) is ok; at least one source; dst is any of the sources or
// overlaps none.
void reduce(const ReduceSpec& spec, void* dst, std::span<const void* const> sources, size_t count);

struct Work;

// reduce() with the choice of the kernel made once. Value type. Thread: any.
// Requires: check(spec) is ok.
class Reducer {
 public:
  explicit Reducer(const ReduceSpec& spec);

  // As reduce().
  void to(void* dst, std::span<const void* const> sources, size_t count) const;
  // The same, written to two places in one pass: `policy` is that of `second`. After NonTemporal
  // the caller calls finish_stores() (copy.h) before it tells others.
  // Requires: the two destinations do not overlap.
  void to_both(
      void* dst,
      void* second,
      std::span<const void* const> sources,
      size_t count,
      StorePolicy policy) const;

 private:
  void (*kernel_)(const Work&) = nullptr;
  bool simd_ = false;
  double prescale_, postscale_;
  size_t divisor_;
  size_t element_bytes_;  // of what the kernel counts
  size_t parts_ = 1;      // and how many of them make one of the caller's elements
};

// True where reduce() with one source would only copy.
bool is_identity(const ReduceSpec& spec) noexcept;

}  // namespace farandole::cpu

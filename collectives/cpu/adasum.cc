#include "collectives/cpu/adasum.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "collectives/cpu/adasum_kernels.h"
#include "collectives/cpu/adasum_layout.h"
#include "collectives/cpu/check_op.h"
#include "collectives/cpu/convert.h"
#include "collectives/cpu/reduce.h"

namespace farandole::cpu {
namespace {

// Elements between two looks at whether to go on. Scalar products of longer parts are sums of those
// of blocks, so that another number gives other bits.
constexpr size_t kBlock = size_t{1} << 16;
constexpr size_t kMemoryAlignment = 64;

size_t aligned(size_t bytes) {
  return (bytes + kMemoryAlignment - 1) / kMemoryAlignment * kMemoryAlignment;
}

// Two vectors of a segment; what comes of them replaces `left`.
struct Pair {
  size_t segment = 0;
  size_t left = 0, right = 0;
};

struct Factors {
  double of_left = 1, of_right = 1;
};

Factors factors(const Products& p) {
  constexpr double kLeast = std::numeric_limits<double>::min();
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  if (!std::isfinite(p.aa) || !std::isfinite(p.bb) || !std::isfinite(p.ab))
    return {kNone, kNone};
  if (p.aa < kLeast || p.bb < kLeast)
    return {};
  return {1 - p.ab / p.aa * 0.5, 1 - p.ab / p.bb * 0.5};
}

// One allreduce.
class Exchange {
 public:
  Exchange(const CollectiveOp& op, const AdasumGroup& group, Staging& staging);

  Status run();

 private:
  void take_memory(Staging& staging);
  Status find_present();
  Status collect();
  Status hand_out_parts();
  template <typename Copy>
  Status each_part(const Copy& copy) const;
  Status pack() const;
  Status to_vectors();
  bool pair_up();
  Status measure();
  Status measure(const Pair& pair, const AdasumLayout::Piece& piece, Products& sum) const;
  Status combine();
  Status combine(const Pair& pair, Factors by) const;
  Status deliver();
  Status finish(size_t segment, const AdasumLayout::Piece& piece, uint8_t* to) const;
  Status unpack() const;
  Status gather(void* out, DType dtype, std::span<const size_t> counts) const;

  // body(first, count) for blocks of `count` elements.
  template <typename Body>
  Status in_blocks(size_t count, const Body& body) const;

  uint8_t* at(size_t vector, size_t element) const {
    return vectors_ + (vector * layout_.held + element) * size_of(dtype_);
  }

  const CollectiveOp& op_;
  const AdasumGroup& group_;
  const size_t n_;
  const AdasumLayout layout_;
  const size_t element_;       // bytes, as it travels
  const DType dtype_;          // of vectors
  uint8_t* packed_ = nullptr;  // all parts, and in each the segments
  uint8_t* received_ = nullptr;
  uint8_t* vectors_ = nullptr;             // one of each member
  std::vector<std::vector<size_t>> left_;  // of each segment: vectors that are not combined yet
  std::vector<Pair> pairs_;
  std::vector<double> told_;  // products of each part, and in it of each pair
};

Exchange::Exchange(const CollectiveOp& op, const AdasumGroup& group, Staging& staging)
    : op_(op),
      group_(group),
      n_(group.members),
      layout_(op, group.members, group.index),
      element_(size_of(op.dtype)),
      dtype_(is_half(op.dtype) ? DType::Float32 : op.dtype) {
  if (layout_.total > 0)
    take_memory(staging);
}

void Exchange::take_memory(Staging& staging) {
  const bool packs = !layout_.whole && op_.segments.size() > 1;
  const bool widens = is_half(op_.dtype);
  const size_t elements = n_ * layout_.held;
  const size_t for_packed = packs ? aligned(layout_.total * element_) : 0;
  const size_t for_received = aligned(elements * element_);
  const size_t for_vectors = widens ? elements * size_of(dtype_) : 0;
  uint8_t* memory = staging.take(for_packed + for_received + for_vectors);
  packed_ = packs ? memory : nullptr;
  received_ = memory + for_packed;
  vectors_ = widens ? received_ + for_received : received_;
}

template <typename Body>
Status Exchange::in_blocks(size_t count, const Body& body) const {
  for (size_t done = 0; done < count; done += kBlock) {
    FARANDOLE_RETURN_IF_ERROR(group_.going());
    body(done, std::min(kBlock, count - done));
  }
  return Status::ok();
}

Status Exchange::run() {
  if (layout_.total == 0)
    return Status::ok();
  FARANDOLE_RETURN_IF_ERROR(find_present());
  FARANDOLE_RETURN_IF_ERROR(collect());
  FARANDOLE_RETURN_IF_ERROR(to_vectors());
  while (pair_up()) {
    FARANDOLE_RETURN_IF_ERROR(measure());
    FARANDOLE_RETURN_IF_ERROR(combine());
  }
  return deliver();
}

// Only where somebody has joined must members be asked.
Status Exchange::find_present() {
  const size_t segments = op_.segments.size();
  std::vector<uint8_t> absent(n_ * segments, 0);
  if (op_.contributors != 0) {
    for (size_t s = 0; s < segments; ++s)
      absent[group_.index * segments + s] = op_.segments[s].stands_in ? 1 : 0;
    const std::vector<size_t> counts(n_, segments);
    FARANDOLE_RETURN_IF_ERROR(gather(absent.data(), DType::Uint8, counts));
  }
  left_.resize(segments);
  for (size_t s = 0; s < segments; ++s)
    for (size_t member = 0; member < n_; ++member)
      if (absent[member * segments + s] == 0)
        left_[s].push_back(member);
  return Status::ok();
}

// Everybody's vectors, as far as they are held.
Status Exchange::collect() {
  if (!layout_.whole)
    return hand_out_parts();
  uint8_t* own = received_ + group_.index * layout_.total * element_;
  for (const Segment& segment : op_.segments) {
    if (segment.count > 0)
      std::memcpy(own, segment.in, segment.count * element_);
    own += segment.count * element_;
  }
  const std::vector<size_t> counts(n_, layout_.total);
  return gather(received_, op_.dtype, counts);
}

Status Exchange::hand_out_parts() {
  const void* from = op_.segments[0].in;
  if (packed_ != nullptr) {
    FARANDOLE_RETURN_IF_ERROR(pack());
    from = packed_;
  }
  std::vector<size_t> counts;
  counts.reserve(n_ * n_);
  for (size_t member = 0; member < n_; ++member)
    counts.insert(counts.end(), layout_.lengths.begin(), layout_.lengths.end());
  const Segment segment{from, received_, n_ * layout_.held};
  CollectiveOp step;
  step.kind = CollectiveKind::Alltoall;
  step.dtype = op_.dtype;
  step.name = op_.name;
  step.segments = {&segment, 1};
  step.counts = counts;
  return group_.run(step);
}

// From what has come: widened and scaled.
Status Exchange::to_vectors() {
  const bool widens = vectors_ != received_;
  if (!widens && op_.prescale == 1.0)
    return Status::ok();
  const Reducer scaler({dtype_, ReduceOp::Sum, op_.prescale, 1.0, 1});
  return in_blocks(n_ * layout_.held, [&](size_t first, size_t count) {
    uint8_t* to = at(0, first);
    if (widens)
      widen(op_.dtype, received_ + first * element_, reinterpret_cast<float*>(to), count);
    const void* source = to;
    if (op_.prescale != 1.0)
      scaler.to(to, {&source, 1}, count);
  });
}

// The next level of every segment's tree. False: there is none.
bool Exchange::pair_up() {
  pairs_.clear();
  for (size_t s = 0; s < left_.size(); ++s) {
    std::vector<size_t>& left = left_[s];
    if (op_.segments[s].count == 0)
      continue;
    std::vector<size_t> kept;
    for (size_t i = 0; i < left.size(); i += 2) {
      kept.push_back(left[i]);
      if (i + 1 < left.size())
        pairs_.push_back({s, left[i], left[i + 1]});
    }
    left = std::move(kept);
  }
  return !pairs_.empty();
}

Status Exchange::measure() {
  constexpr size_t kNumbers = 3;
  const size_t row = pairs_.size() * kNumbers;
  told_.assign(n_ * row, 0);
  for (size_t p = 0; p < pairs_.size(); ++p)
    for (const AdasumLayout::Piece& piece : layout_.pieces_of(pairs_[p].segment)) {
      Products sum;
      FARANDOLE_RETURN_IF_ERROR(measure(pairs_[p], piece, sum));
      double* to = told_.data() + piece.part * row + p * kNumbers;
      to[0] = sum.ab, to[1] = sum.aa, to[2] = sum.bb;
    }
  if (layout_.whole)
    return Status::ok();
  const std::vector<size_t> counts(n_, row);
  return gather(told_.data(), DType::Float64, counts);
}

Status Exchange::measure(const Pair& pair, const AdasumLayout::Piece& piece, Products& sum) const {
  return in_blocks(piece.place.count, [&](size_t first, size_t count) {
    const size_t begin = piece.place.begin + first;
    const Products some = products(dtype_, at(pair.left, begin), at(pair.right, begin), count);
    sum.ab += some.ab;
    sum.aa += some.aa;
    sum.bb += some.bb;
  });
}

Status Exchange::combine() {
  const size_t row = told_.size() / n_;
  for (size_t p = 0; p < pairs_.size(); ++p) {
    Products sum;
    for (size_t part = 0; part < n_; ++part) {
      const double* some = told_.data() + part * row + p * (row / pairs_.size());
      sum.ab += some[0];
      sum.aa += some[1];
      sum.bb += some[2];
    }
    FARANDOLE_RETURN_IF_ERROR(combine(pairs_[p], factors(sum)));
  }
  return Status::ok();
}

Status Exchange::combine(const Pair& pair, Factors by) const {
  for (const AdasumLayout::Piece& piece : layout_.pieces_of(pair.segment))
    FARANDOLE_RETURN_IF_ERROR(in_blocks(piece.place.count, [&](size_t first, size_t count) {
      const size_t begin = piece.place.begin + first;
      add_scaled(
          dtype_, by.of_left, at(pair.left, begin), by.of_right, at(pair.right, begin), count);
    }));
  return Status::ok();
}

Status Exchange::deliver() {
  const std::span<const Segment> segments = op_.segments;
  if (layout_.whole) {
    for (size_t s = 0; s < segments.size(); ++s)
      for (const AdasumLayout::Piece& piece : layout_.pieces_of(s)) {
        const size_t begin = cut(segments[s].count, piece.part, n_).begin;
        auto* to = static_cast<uint8_t*>(segments[s].out) + begin * element_;
        FARANDOLE_RETURN_IF_ERROR(finish(s, piece, to));
      }
    return Status::ok();
  }
  uint8_t* all = packed_ != nullptr ? packed_ : static_cast<uint8_t*>(segments[0].out);
  for (size_t s = 0; s < segments.size(); ++s) {
    const AdasumLayout::Piece& piece = layout_.pieces_of(s).front();
    FARANDOLE_RETURN_IF_ERROR(
        finish(s, piece, all + (layout_.before + piece.place.begin) * element_));
  }
  FARANDOLE_RETURN_IF_ERROR(gather(all, op_.dtype, layout_.lengths));
  return packed_ != nullptr ? unpack() : Status::ok();
}

// A piece of the segment's result: scaled, and in the dtype in which it travels.
Status Exchange::finish(size_t segment, const AdasumLayout::Piece& piece, uint8_t* to) const {
  const size_t vector = left_[segment].empty() ? 0 : left_[segment].front();
  const Reducer scaler({dtype_, ReduceOp::Sum, 1.0, op_.postscale, 1});
  return in_blocks(piece.place.count, [&](size_t first, size_t count) {
    uint8_t* from = at(vector, piece.place.begin + first);
    uint8_t* there = to + first * element_;
    const bool narrows = is_half(op_.dtype);
    const void* source = from;
    scaler.to(narrows ? from : there, {&source, 1}, count);
    if (narrows)
      narrow(op_.dtype, reinterpret_cast<const float*>(from), there, count);
  });
}

// Between the segments and where they lie by part, one behind the other.
template <typename Copy>
Status Exchange::each_part(const Copy& copy) const {
  size_t place = 0;
  for (size_t part = 0; part < n_; ++part)
    for (const Segment& segment : op_.segments) {
      const Range range = cut(segment.count, part, n_);
      FARANDOLE_RETURN_IF_ERROR(in_blocks(range.count, [&](size_t first, size_t some) {
        const size_t from = (range.begin + first) * element_, to = (place + first) * element_;
        copy(segment, from, packed_ + to, some * element_);
      }));
      place += range.count;
    }
  return Status::ok();
}

Status Exchange::pack() const {
  return each_part([](const Segment& s, size_t offset, uint8_t* packed, size_t bytes) {
    std::memcpy(packed, static_cast<const uint8_t*>(s.in) + offset, bytes);
  });
}

Status Exchange::unpack() const {
  return each_part([](const Segment& s, size_t offset, const uint8_t* packed, size_t bytes) {
    std::memcpy(static_cast<uint8_t*>(s.out) + offset, packed, bytes);
  });
}

// The own part of `out` is in place.
Status Exchange::gather(void* out, DType dtype, std::span<const size_t> counts) const {
  const size_t before = std::accumulate(counts.begin(), counts.begin() + group_.index, size_t{0});
  const void* own = static_cast<uint8_t*>(out) + before * size_of(dtype);
  const Segment segment{own, out, counts[group_.index]};
  CollectiveOp step;
  step.kind = CollectiveKind::Allgather;
  step.dtype = dtype;
  step.name = op_.name;
  step.segments = {&segment, 1};
  step.counts = counts;
  return group_.run(step);
}

// Of one member: what it has, scaled.
Status scale(const CollectiveOp& op) {
  const Reducer scaler(reduce_spec(op, 1));
  for (const Segment& segment : op.segments)
    if (segment.count > 0)
      scaler.to(segment.out, {&segment.in, 1}, segment.count);
  return Status::ok();
}

}  // namespace

Status Adasum::allreduce(const CollectiveOp& op, const AdasumGroup& group) {
  return group.members == 1 ? scale(op) : Exchange(op, group, staging_).run();
}

}  // namespace farandole::cpu

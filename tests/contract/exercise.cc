#include "tests/contract/exercise.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "core/base/format.h"
#include "tests/support/adasum.h"

namespace farandole::testing {
namespace {

constexpr uint8_t kUntouched = 0xa5;
constexpr size_t kGuardBytes = 24;
constexpr double kPrescale = 0.7, kPostscale = 1.5;

}  // namespace

Exercise::Exercise(const Case& c, int ranks, size_t chunk_bytes, bool takes_segments, uint64_t seed)
    : case_(c),
      ranks_(ranks),
      takes_segments_(takes_segments),
      elements_(elements_of(c.size, c.dtype, chunk_bytes)),
      counts_(make_counts(elements_)),
      sides_(static_cast<size_t>(ranks)) {
  for (int rank = 0; rank < ranks; ++rank)
    values_.push_back(
        make_values(c.dtype, c.op, input_elements(rank), seed * 64 + static_cast<uint64_t>(rank)));
  if (c.kind == CollectiveKind::Barrier)
    return;
  for (int rank = 0; rank < ranks; ++rank) lay_out(rank);
}

std::vector<size_t> Exercise::make_counts(size_t elements) const {
  const auto n = static_cast<size_t>(ranks_);
  std::vector<size_t> counts;
  if (case_.has_counts())
    counts.assign(case_.kind == CollectiveKind::Alltoall ? n * n : n, elements);
  if (case_.ragged) {
    for (size_t i = 0; i < counts.size(); ++i)
      counts[i] = i % 3 == 1 ? 0 : counts[i] / (1 + i % 4) + i % 5;
  }
  return counts;
}

size_t Exercise::sum_of_counts() const {
  return std::accumulate(counts_.begin(), counts_.end(), size_t{0});
}

size_t Exercise::input_elements(int rank) const {
  const auto n = static_cast<size_t>(ranks_), r = static_cast<size_t>(rank);
  switch (case_.kind) {
    case CollectiveKind::Allreduce:
    case CollectiveKind::Broadcast:
    case CollectiveKind::Reduce:
      return elements_;
    case CollectiveKind::Allgather:
    case CollectiveKind::Gather:
      return counts_[r];
    case CollectiveKind::Reducescatter:
      return sum_of_counts();
    case CollectiveKind::Scatter:
      return rank == root() ? sum_of_counts() : 0;
    case CollectiveKind::Alltoall:
      return std::accumulate(
          counts_.begin() + static_cast<ptrdiff_t>(r * n),
          counts_.begin() + static_cast<ptrdiff_t>((r + 1) * n),
          size_t{0});
    case CollectiveKind::Barrier:
    case CollectiveKind::Message:
    case CollectiveKind::Join:
    case CollectiveKind::AddProcessSet:
    case CollectiveKind::RemoveProcessSet:
      return 0;
  }
  return 0;
}

size_t Exercise::output_elements(int rank) const {
  const auto n = static_cast<size_t>(ranks_), r = static_cast<size_t>(rank);
  switch (case_.kind) {
    case CollectiveKind::Allreduce:
    case CollectiveKind::Broadcast:
      return elements_;
    case CollectiveKind::Reduce:
      return has_result(rank) ? elements_ : 0;
    case CollectiveKind::Allgather:
      return sum_of_counts();
    case CollectiveKind::Gather:
      return has_result(rank) ? sum_of_counts() : 0;
    case CollectiveKind::Reducescatter:
    case CollectiveKind::Scatter:
      return counts_[r];
    case CollectiveKind::Alltoall: {
      size_t sum = 0;
      for (size_t s = 0; s < n; ++s) sum += counts_[s * n + r];
      return sum;
    }
    case CollectiveKind::Barrier:
    case CollectiveKind::Message:
    case CollectiveKind::Join:
    case CollectiveKind::AddProcessSet:
    case CollectiveKind::RemoveProcessSet:
      return 0;
  }
  return 0;
}

size_t Exercise::own_offset(int rank) const {
  return std::accumulate(counts_.begin(), counts_.begin() + rank, size_t{0});
}

// Sizes of segments: uneven, with empty ones first and in the middle.
std::vector<size_t> Exercise::split(size_t elements) const {
  if (!case_.several || (!takes_segments_ && case_.op != ReduceOp::Adasum))
    return {elements};
  std::vector<size_t> parts{0};
  size_t left = elements;
  for (const size_t wanted : {size_t{1}, elements / 3, size_t{0}, size_t{7}, elements / 5}) {
    parts.push_back(std::min(wanted, left));
    left -= parts.back();
  }
  parts.push_back(left);
  return parts;
}

void Exercise::lay_out(int rank) {
  Side& side = sides_[static_cast<size_t>(rank)];
  const size_t size = size_of(case_.dtype);
  const Bytes& values = values_[static_cast<size_t>(rank)];
  if (!case_.has_counts()) {
    size_t offset = 0;
    for (const size_t part : split(elements_)) {
      const auto begin = values.begin() + static_cast<ptrdiff_t>(offset * size);
      Bytes in(begin, begin + static_cast<ptrdiff_t>(part * size));
      const bool read = case_.kind != CollectiveKind::Broadcast || rank == root();
      Bytes out(part * size + kGuardBytes, kUntouched);
      const bool in_place = case_.in_place && has_result(rank);
      if (in_place && read)
        std::copy(in.begin(), in.end(), out.begin());
      side.in.push_back(std::move(in));
      side.out.push_back(std::move(out));
      void* target = has_result(rank) ? side.out.back().data() : nullptr;
      const void* source = in_place ? target : read ? side.in.back().data() : nullptr;
      side.segments.push_back({source, target, part});
      offset += part;
    }
    return;
  }
  // The larger side in place holds the smaller one.
  const size_t in_elements = input_elements(rank), out_elements = output_elements(rank);
  side.in.push_back(values);
  const bool gathers = farandole::gathers(case_.kind);
  const bool reads = case_.kind != CollectiveKind::Scatter || rank == root();
  const bool in_place = case_.in_place && reads && has_result(rank);
  Bytes out((in_place && !gathers ? in_elements : out_elements) * size + kGuardBytes, kUntouched);
  const size_t shift = in_place ? own_offset(rank) * size : 0;
  if (in_place)
    std::copy(
        values.begin(), values.end(), out.begin() + static_cast<ptrdiff_t>(gathers ? shift : 0));
  side.out.push_back(std::move(out));
  uint8_t* target = has_result(rank) ? side.out.back().data() : nullptr;
  const void* source = reads ? side.in.back().data() : nullptr;
  if (in_place) {
    source = gathers ? target + shift : target;
    target = gathers ? target : target + shift;
  }
  side.segments.push_back({source, target, gathers ? in_elements : out_elements});
}

CollectiveOp Exercise::op_of(int rank) const {
  CollectiveOp op;
  op.kind = case_.kind;
  op.reduce = case_.op;
  op.dtype = case_.dtype;
  op.root = root();
  if (case_.scaled) {
    op.prescale = kPrescale;
    op.postscale = kPostscale;
  }
  op.segments = sides_[static_cast<size_t>(rank)].segments;
  op.counts = counts_;
  op.name = "contract";
  return op;
}

Bytes Exercise::result_of(int rank) const {
  const Side& side = sides_[static_cast<size_t>(rank)];
  Bytes result;
  if (!has_result(rank))
    return result;
  if (!case_.has_counts()) {
    for (size_t i = 0; i < side.segments.size(); ++i) {
      const auto begin = side.out[i].begin();
      result.insert(
          result.end(),
          begin,
          begin + static_cast<ptrdiff_t>(side.segments[i].count * size_of(case_.dtype)));
    }
  } else if (!side.segments.empty()) {
    const auto* begin = static_cast<const uint8_t*>(side.segments[0].out);
    result.assign(begin, begin + output_elements(rank) * size_of(case_.dtype));
  }
  return result;
}

Bytes Exercise::expected_moved(int rank) const {
  const auto n = static_cast<size_t>(ranks_), r = static_cast<size_t>(rank);
  const size_t size = size_of(case_.dtype);
  Bytes expected;
  if (case_.kind == CollectiveKind::Broadcast)
    return values_[static_cast<size_t>(root())];
  if (!has_result(rank))
    return expected;
  if (case_.kind == CollectiveKind::Scatter) {
    const auto from = values_[static_cast<size_t>(root())].begin() +
                      static_cast<ptrdiff_t>(own_offset(rank) * size);
    return {from, from + static_cast<ptrdiff_t>(counts_[r] * size)};
  }
  for (size_t s = 0; s < n; ++s) {
    size_t begin = 0, count = counts_[s];
    if (case_.kind == CollectiveKind::Alltoall) {
      count = counts_[s * n + r];
      for (size_t d = 0; d < r; ++d) begin += counts_[s * n + d];
    }
    const auto from = values_[s].begin() + static_cast<ptrdiff_t>(begin * size);
    expected.insert(expected.end(), from, from + static_cast<ptrdiff_t>(count * size));
  }
  return expected;
}

// Each segment by itself.
std::optional<std::string> Exercise::judge_adasum(
    const Reduction& reduction, const Bytes& got) const {
  size_t offset = 0;
  for (const size_t part : split(elements_)) {
    const void* here = got.data() + offset * size_of(case_.dtype);
    if (const auto wrong = adasum_difference(reduction, values_, offset, here, part))
      return wrong;
    offset += part;
  }
  return std::nullopt;
}

std::optional<std::string> Exercise::judge_rank(int rank) const {
  const Bytes got = result_of(rank);
  for (const Bytes& out : sides_[static_cast<size_t>(rank)].out) {
    if (std::any_of(out.end() - kGuardBytes, out.end(), [](uint8_t b) { return b != kUntouched; }))
      return "wrote behind the end of an output";
  }
  Bytes input;
  for (const Bytes& in : sides_[static_cast<size_t>(rank)].in)
    input.insert(input.end(), in.begin(), in.end());
  if (input != values_[static_cast<size_t>(rank)])
    return "wrote to an input";
  if (!reduces(case_.kind))
    return got == expected_moved(rank) ? std::nullopt
                                       : std::optional<std::string>("moved the wrong bytes");
  const bool everywhere = case_.kind == CollectiveKind::Allreduce;
  if (everywhere && rank != 0)
    return got == result_of(0) ? std::nullopt
                               : std::optional<std::string>("other bits than on rank 0");
  if (!has_result(rank))
    return std::nullopt;
  const Reduction reduction{
      case_.dtype, case_.op, case_.scaled ? kPrescale : 1, case_.scaled ? kPostscale : 1};
  if (case_.op == ReduceOp::Adasum)
    return judge_adasum(reduction, got);
  return difference(
      reduction,
      values_,
      case_.has_counts() ? own_offset(rank) : 0,
      got.data(),
      output_elements(rank));
}

std::optional<std::string> Exercise::judge() const {
  if (case_.kind == CollectiveKind::Barrier)
    return std::nullopt;  // see barrier_check.h
  for (int rank = 0; rank < ranks_; ++rank) {
    if (const auto wrong = judge_rank(rank))
      return fmt::format("{} on rank {} of {}: {}", case_.to_string(), rank, ranks_, *wrong);
  }
  return std::nullopt;
}

}  // namespace farandole::testing

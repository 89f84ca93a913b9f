#include "core/layout.h"

#include <algorithm>
#include <numeric>

#include "core/base/format.h"

namespace farandole {
namespace {

std::vector<int64_t> with_rows(const std::vector<int64_t>& shape, int64_t rows) {
  std::vector<int64_t> result = shape;
  result.at(0) = rows;
  return result;
}

std::vector<size_t> elements(const std::vector<int64_t>& rows, int64_t row) {
  std::vector<size_t> counts;
  counts.reserve(rows.size());
  for (const int64_t r : rows) counts.push_back(static_cast<size_t>(r * row));
  return counts;
}

// Whether so many rows have a number of bytes that exists.
bool addressable(const Signature& s, int64_t rows) {
  int64_t bytes = static_cast<int64_t>(size_of(s.dtype));
  for (size_t d = 1; d < s.shape.size(); ++d)
    if (__builtin_mul_overflow(bytes, s.shape[d], &bytes))
      return false;
  return rows >= 0 && !__builtin_mul_overflow(bytes, rows, &bytes);
}

// Sum of every `step`-th, from `first` on; -1 where it does not exist.
int64_t sum_of(const std::vector<int64_t>& rows, size_t first, size_t step) {
  int64_t sum = 0;
  for (size_t i = first; i < rows.size(); i += step)
    if (rows[i] < 0 || __builtin_add_overflow(sum, rows[i], &sum))
      return -1;
  return sum;
}

// What the coordinator tells of a scatter: dtype and number, rows for each member, and the extents
// of a row.
constexpr size_t kBeforeRows = 2;

struct Told {
  Signature part;  // dtype, and the shape of `place`'s part
  int64_t rows = 0;
  std::vector<int64_t> counts;
};

Told told_of(const Signature& s, const std::vector<int64_t>& extents, size_t place, size_t n) {
  const auto first = extents.begin() + static_cast<ptrdiff_t>(kBeforeRows);
  const auto end = first + static_cast<ptrdiff_t>(n);
  Told told{s, 0, {first, end}};
  told.part.dtype = static_cast<DType>(extents[0]);
  told.part.shape.assign(1, told.counts[place]);
  told.part.shape.insert(told.part.shape.end(), end, extents.end());
  told.rows = sum_of(told.counts, 0, 1);
  return told;
}

bool scatter_fits(
    const Signature& s, const std::vector<int64_t>& extents, size_t index, size_t n, size_t root) {
  const bool sane = extents.size() >= kBeforeRows + n && extents[0] < kDTypeCount &&
                    std::all_of(extents.begin(), extents.end(), [](int64_t e) { return e >= 0; });
  if (!sane)
    return false;
  const Told told = told_of(s, extents, index, n);
  if (!addressable(told.part, told.rows))
    return false;
  if (index != root)
    return true;
  const auto shares = [&] {
    const auto each = told.rows / static_cast<int64_t>(n);
    return std::all_of(
        told.counts.begin(), told.counts.end(), [&](int64_t rows) { return rows == each; });
  };
  return !s.shape.empty() && told.part.dtype == s.dtype && told.rows == s.shape[0] &&
         std::equal(
             s.shape.begin() + 1,
             s.shape.end(),
             told.part.shape.begin() + 1,
             told.part.shape.end()) &&
         (s.splits.empty() ? shares() : told.counts == s.splits);
}

// What the coordinator tells of a message: dtype and number, and the shape.
Signature told_of(const Signature& s, const std::vector<int64_t>& extents) {
  Signature told = s;
  told.dtype = static_cast<DType>(extents[0]);
  told.shape.assign(extents.begin() + static_cast<ptrdiff_t>(kBeforeRows), extents.end());
  return told;
}

bool message_fits(
    const Signature& s, const std::vector<int64_t>& extents, size_t index, size_t root) {
  const bool sane = extents.size() >= kBeforeRows && extents[0] < kDTypeCount &&
                    std::all_of(extents.begin(), extents.end(), [](int64_t e) { return e >= 0; });
  if (!sane)
    return false;
  const Signature told = told_of(s, extents);
  if (!addressable(told, told.shape.empty() ? 1 : told.shape[0]))
    return false;
  const bool knows = index == root || s.operand.size() > 1;
  return !knows || (told.dtype == s.dtype && told.shape == s.shape);
}

bool gather_fits(const Signature& s, const std::vector<int64_t>& rows, size_t index, size_t n) {
  return !s.shape.empty() && rows.size() == n && rows[index] == s.shape[0] &&
         addressable(s, sum_of(rows, 0, 1));
}

bool exchange_fits(const Signature& s, const std::vector<int64_t>& rows, size_t index, size_t n) {
  if (s.shape.empty() || rows.size() != n * n || !addressable(s, sum_of(rows, 0, 1)))
    return false;
  const auto own = rows.begin() + static_cast<ptrdiff_t>(index * n);
  if (!s.splits.empty())
    return std::equal(s.splits.begin(), s.splits.end(), own, own + static_cast<ptrdiff_t>(n));
  const auto count = static_cast<int64_t>(n);
  const auto is_share = [&](int64_t r) { return r == s.shape[0] / count; };
  return s.shape[0] % count == 0 && std::all_of(own, own + static_cast<ptrdiff_t>(n), is_share);
}

bool fits(
    const Signature& s, const std::vector<int64_t>& rows, size_t index, size_t n, size_t root) {
  if (gathers(s.kind))
    return gather_fits(s, rows, index, n);
  if (s.kind == CollectiveKind::Scatter)
    return scatter_fits(s, rows, index, n, root);
  if (s.kind == CollectiveKind::Message)
    return message_fits(s, rows, index, root);
  if (s.kind == CollectiveKind::Alltoall)
    return exchange_fits(s, rows, index, n);
  return rows.empty() && (s.kind != CollectiveKind::Reducescatter || !s.shape.empty());
}

}  // namespace

Status check_extents(
    const Signature& signature,
    const std::vector<int64_t>& extents,
    int index,
    int members,
    int root) {
  const auto size = [](int value) { return static_cast<size_t>(value); };
  if (fits(signature, extents, size(index), size(members), size(root)))
    return Status::ok();
  return error(
             Code::PeerLost,
             "rank 0 broke the protocol: it told {} extents for {} members that do not fit this "
             "rank's tensor",
             extents.size(),
             members)
      .blame(0);
}

Status check_stand_in(const Signature& s, std::span<const int> members) {
  const bool reducible =
      !reduces(s.kind) || (takes(s.kind, s.reduce) && has_meaning(s.reduce, s.dtype));
  const bool rooted =
      !has_root(s.kind) || std::find(members.begin(), members.end(), s.root) != members.end();
  if (is_collective(s.kind) && reducible && rooted)
    return Status::ok();
  return error(
             Code::PeerLost,
             "rank 0 broke the protocol: it told a {} to stand in for, which has no meaning",
             name_of(s.kind))
      .blame(0);
}

Layout lay_out(
    const Signature& s, const std::vector<int64_t>& extents, int index, int members, int root) {
  Layout layout;
  layout.dtype = s.dtype;
  layout.segment_count = static_cast<size_t>(element_count(s.shape));
  layout.result_shape = s.shape;
  const int64_t row = row_elements(s.shape);
  switch (s.kind) {
    case CollectiveKind::Allreduce:
    case CollectiveKind::Broadcast:
    case CollectiveKind::Barrier:
    case CollectiveKind::Join:
    case CollectiveKind::AddProcessSet:
    case CollectiveKind::RemoveProcessSet:
      break;
    case CollectiveKind::Reduce:
      break;
    case CollectiveKind::Allgather:
    case CollectiveKind::Gather:
      layout.counts = elements(extents, row);
      layout.result_shape =
          with_rows(s.shape, std::accumulate(extents.begin(), extents.end(), int64_t{0}));
      if (s.kind == CollectiveKind::Gather && index == root)
        layout.received = extents;
      break;
    case CollectiveKind::Scatter: {
      const Told told =
          told_of(s, extents, static_cast<size_t>(index), static_cast<size_t>(members));
      layout.counts = elements(told.counts, row_elements(told.part.shape));
      layout.segment_count = index == root ? static_cast<size_t>(element_count(s.shape)) : 0;
      layout.result_shape = told.part.shape;
      layout.dtype = told.part.dtype;
      layout.value = extents[1];
      break;
    }
    case CollectiveKind::Message: {
      const Signature told = told_of(s, extents);
      layout.segment_count = static_cast<size_t>(element_count(told.shape));
      layout.result_shape = told.shape;
      layout.dtype = told.dtype;
      layout.value = extents[1];
      break;
    }
    case CollectiveKind::Reducescatter: {
      std::vector<int64_t> rows(static_cast<size_t>(members), s.shape.at(0) / members);
      for (int64_t r = 0; r < s.shape[0] % members; ++r) ++rows[static_cast<size_t>(r)];
      layout.counts = elements(rows, row);
      layout.result_shape = with_rows(s.shape, rows.at(static_cast<size_t>(index)));
      break;
    }
    case CollectiveKind::Alltoall: {
      layout.counts = elements(extents, row);
      for (int source = 0; source < members; ++source)
        layout.received.push_back(extents.at(static_cast<size_t>(source * members + index)));
      layout.result_shape = with_rows(
          s.shape, std::accumulate(layout.received.begin(), layout.received.end(), int64_t{0}));
      break;
    }
  }
  const bool elsewhere =
      ends_at_root(s.kind) ? index != root : s.kind == CollectiveKind::Message && index == root;
  layout.has_result = s.kind != CollectiveKind::Barrier && !elsewhere;
  if (elsewhere)
    layout.result_shape = {0};
  return layout;
}

}  // namespace farandole

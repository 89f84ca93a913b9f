#include "core/layout.h"

#include <numeric>

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

}  // namespace

Layout lay_out(const Signature& s, const std::vector<int64_t>& extents, int index, int members) {
  Layout layout;
  layout.segment_count = static_cast<size_t>(element_count(s.shape));
  layout.result_shape = s.shape;
  const int64_t row = row_elements(s.shape);
  switch (s.kind) {
    case CollectiveKind::Allreduce:
    case CollectiveKind::Broadcast:
    case CollectiveKind::Barrier:
      break;
    case CollectiveKind::Allgather:
      layout.counts = elements(extents, row);
      layout.result_shape =
          with_rows(s.shape, std::accumulate(extents.begin(), extents.end(), int64_t{0}));
      break;
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
  return layout;
}

}  // namespace farandole

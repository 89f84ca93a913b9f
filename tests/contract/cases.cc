#include "tests/contract/cases.h"

#include <algorithm>
#include <array>
#include <set>

#include "core/base/format.h"

namespace farandole::testing {
namespace {

const std::vector<int> kDomains{
    kCollectiveKindCount, kReduceOpCount, kDTypeCount, kSizeCount, 2, 2, 2, 2};

Case from_row(const std::vector<int>& row) {
  return normalised(
      {static_cast<CollectiveKind>(row[0]),
       static_cast<ReduceOp>(row[1]),
       static_cast<DType>(row[2]),
       static_cast<Size>(row[3]),
       row[4] != 0,
       row[5] != 0,
       row[6] != 0,
       row[7] != 0});
}

// A pair of values: parameter and value, twice, the lower parameter first.
using Pair = std::array<int, 4>;

Pair make_pair(int p, int v, int q, int w) {
  return p < q ? Pair{p, v, q, w} : Pair{q, w, p, v};
}

// The value of `parameter` that meets most uncovered pairs with the values chosen so far (-1:
// none).
int best_value(
    const std::vector<int>& row, int parameter, int domain, const std::set<Pair>& uncovered) {
  int best = 0, best_gain = -1;
  for (int value = 0; value < domain; ++value) {
    int gain = 0;
    for (int other = 0; other < static_cast<int>(row.size()); ++other) {
      if (row[other] >= 0)
        gain += static_cast<int>(uncovered.count(make_pair(parameter, value, other, row[other])));
    }
    if (gain > best_gain) {
      best = value;
      best_gain = gain;
    }
  }
  return best;
}

void push_unique(std::vector<Case>& cases, const Case& c) {
  if (std::find(cases.begin(), cases.end(), c) == cases.end())
    cases.push_back(c);
}

}  // namespace

size_t elements_of(Size size, DType dtype, size_t chunk_bytes) {
  const size_t chunk = chunk_bytes / size_of(dtype);
  switch (size) {
    case Size::None:
      return 0;
    case Size::One:
      return 1;
    case Size::Odd:
      return 17;
    case Size::Chunk:
      return chunk;
    case Size::ChunkAndOne:
      return chunk + 1;
    case Size::SeveralChunks:
      return 5 * chunk + 3;
  }
  return 0;
}

std::string Case::to_string() const {
  return fmt::format(
      "{} {} of {}, size {}{}{}{}{}",
      name_of(kind),
      name_of(op),
      name_of(dtype),
      static_cast<int>(size),
      in_place ? ", in place" : "",
      scaled ? ", scaled" : "",
      ragged ? ", ragged" : "",
      several ? ", several segments" : "");
}

Case normalised(Case c) {
  const CollectiveKind k = c.kind;
  if (k == CollectiveKind::Barrier)
    return {.kind = k};
  if (!reduces(k) || !takes(k, c.op) || !has_meaning(c.op, c.dtype))
    c.op = ReduceOp::Sum;
  c.scaled = c.scaled && reduces(k) && c.dtype != DType::Bool;
  c.in_place = c.in_place && k != CollectiveKind::Alltoall;
  c.ragged = c.ragged && c.has_counts();
  c.several = c.several && !c.has_counts();
  return c;
}

std::vector<Case> all_cases(CollectiveKind kind) {
  if (kind == CollectiveKind::Barrier)
    return {normalised({.kind = kind})};
  std::vector<Case> cases;
  std::vector<int> row(kDomains.size());
  row[0] = static_cast<int>(kind);
  for (;;) {
    const Case c = from_row(row);
    // A combination that normalises to another one is that other one's repetition.
    std::vector<int> back{
        static_cast<int>(c.kind),
        static_cast<int>(c.op),
        static_cast<int>(c.dtype),
        static_cast<int>(c.size),
        c.in_place,
        c.scaled,
        c.ragged,
        c.several};
    if (back == row)
      cases.push_back(c);
    size_t p = 1;
    while (p < row.size() && ++row[p] == kDomains[p]) row[p++] = 0;
    if (p == row.size())
      return cases;
  }
}

std::vector<std::vector<int>> pairwise(const std::vector<int>& domains) {
  const int n = static_cast<int>(domains.size());
  std::set<Pair> uncovered;
  for (int p = 0; p < n; ++p) {
    for (int q = p + 1; q < n; ++q) {
      for (int v = 0; v < domains[p]; ++v) {
        for (int w = 0; w < domains[q]; ++w) uncovered.insert({p, v, q, w});
      }
    }
  }
  std::vector<std::vector<int>> rows;
  while (!uncovered.empty()) {
    const Pair seed = *uncovered.begin();
    std::vector<int> row(domains.size(), -1);
    row[seed[0]] = seed[1];
    row[seed[2]] = seed[3];
    for (int p = 0; p < n; ++p) {
      if (row[p] < 0)
        row[p] = best_value(row, p, domains[p], uncovered);
    }
    for (int p = 0; p < n; ++p) {
      for (int q = p + 1; q < n; ++q) uncovered.erase({p, row[p], q, row[q]});
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<Case> pairwise_cases() {
  std::vector<Case> cases;
  for (const auto& row : pairwise(kDomains)) push_unique(cases, from_row(row));
  // Kinds look at different parameters, so each also gets the pairs among its own.
  for (int kind = 0; kind < kCollectiveKindCount; ++kind) {
    auto domains = kDomains;
    domains[0] = 1;
    for (auto row : pairwise(domains)) {
      row[0] = kind;
      push_unique(cases, from_row(row));
    }
  }
  return cases;
}

}  // namespace farandole::testing

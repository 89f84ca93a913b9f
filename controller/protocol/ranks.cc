#include "controller/protocol/ranks.h"

#include <utility>

#include "core/base/format.h"

namespace farandole::control {
namespace {

constexpr size_t kMaxRuns = 16;

using Run = std::pair<int, int>;

std::vector<Run> runs_of(const std::vector<int>& ranks) {
  std::vector<Run> runs;
  for (const int rank : ranks) {
    if (!runs.empty() && runs.back().second + 1 == rank)
      runs.back().second = rank;
    else
      runs.emplace_back(rank, rank);
  }
  return runs;
}

std::string text_of(const Run& run) {
  return run.first == run.second ? fmt::format("{}", run.first)
                                 : fmt::format("{}-{}", run.first, run.second);
}

}  // namespace

std::string rank_list(const std::vector<int>& ranks) {
  const std::vector<Run> runs = runs_of(ranks);
  std::string out = ranks.size() == 1 ? "rank " : "ranks ";
  size_t told = 0;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (i == kMaxRuns)
      return out + fmt::format(" and {} more", ranks.size() - told);
    if (i > 0)
      out += i + 1 == runs.size() ? " and " : ", ";
    out += text_of(runs[i]);
    told += static_cast<size_t>(runs[i].second - runs[i].first) + 1;
  }
  return out;
}

}  // namespace farandole::control

#include "core/base/nearest.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace farandole {
namespace {

struct Distance {
  size_t beginning;  // to the nearest beginning of the other word
  size_t whole;

  auto operator<=>(const Distance&) const = default;
};

Distance distance(std::string_view word, std::string_view known) {
  std::vector<size_t> row(known.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= word.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= known.size(); ++j) {
      const size_t change = diagonal + (word[i - 1] == known[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return {*std::min_element(row.begin(), row.end()), row.back()};
}

// What all of them begin with, which tells nothing; of a single one nothing.
size_t common_beginning(const std::vector<std::string>& words) {
  if (words.size() < 2)
    return 0;
  const auto [first, last] = std::minmax_element(words.begin(), words.end());
  const auto apart = std::mismatch(first->begin(), first->end(), last->begin(), last->end());
  return static_cast<size_t>(apart.first - first->begin());
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  const auto best = std::min_element(known.begin(), known.end(), [&](const auto& a, const auto& b) {
    return distance(word, a) < distance(word, b);
  });
  if (best == known.end())
    return {};
  const size_t telling = word.size() - std::min(word.size(), common_beginning(known));
  const size_t changes = distance(word, *best).beginning;
  return telling > 0 && 3 * changes <= telling ? *best : std::string();
}

}  // namespace farandole

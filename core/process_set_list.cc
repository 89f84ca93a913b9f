#include "core/process_set_list.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "core/base/format.h"

namespace farandole {
namespace {

constexpr int kNone = -1;

int number(std::string_view text) {
  int value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failed == std::errc() && end == text.data() + text.size() && value >= 0 ? value : kNone;
}

// Calls `take` with each part between separators.
template <typename Take>
Status split(std::string_view text, char separator, const Take& take) {
  while (true) {
    const size_t end = std::min(text.find(separator), text.size());
    FARANDOLE_RETURN_IF_ERROR(take(text.substr(0, end)));
    if (end == text.size())
      return Status::ok();
    text.remove_prefix(end + 1);
  }
}

// "4" or "0-3".
Status add_ranks(std::string_view text, int64_t size, std::vector<int>& to) {
  const size_t dash = std::min(text.find('-'), text.size());
  const int first = number(text.substr(0, dash));
  const int last = dash == text.size() ? first : number(text.substr(dash + 1));
  if (first == kNone || last == kNone || last < first)
    return error(
        Code::InvalidArgument, "\"{}\" is neither a rank nor a range such as 0-3", printable(text));
  if (last >= size)
    return error(
        Code::InvalidArgument, "rank {} does not exist; ranks are 0 to {}", last, size - 1);
  for (int rank = first; rank <= last; ++rank) to.push_back(rank);
  return Status::ok();
}

Result<std::vector<int>> parse_set(std::string_view text, int64_t size) {
  std::vector<int> ranks;
  FARANDOLE_RETURN_IF_ERROR(
      split(text, ',', [&](std::string_view part) { return add_ranks(part, size, ranks); }));
  std::ranges::sort(ranks);
  const auto twice = std::ranges::adjacent_find(ranks);
  if (twice != ranks.end())
    return error(Code::InvalidArgument, "rank {} stands there twice", *twice);
  return ranks;
}

}  // namespace

Result<std::map<uint32_t, std::vector<int>>> parse_process_sets(
    std::string_view text, int64_t size) {
  std::map<uint32_t, std::vector<int>> sets;
  if (text.empty())
    return sets;
  std::vector<int> all(static_cast<size_t>(size));
  std::iota(all.begin(), all.end(), 0);
  sets[0] = std::move(all);
  const Status status = split(text, ';', [&](std::string_view part) -> Status {
    const size_t index = sets.size() - 1;
    const auto wrong = [&](std::string_view why) {
      return error(
          Code::InvalidArgument,
          "process_sets: set [{}] at index {}: {}",
          printable(part),
          index,
          why);
    };
    Result<std::vector<int>> ranks = parse_set(part, size);
    if (!ranks)
      return wrong(ranks.status().message());
    for (const auto& [id, other] : sets)
      if (other == ranks.value())
        return wrong(
            id == 0 ? std::string("these are all ranks, which are process set 0 already")
                    : fmt::format("it has the ranks of that at index {}", id - 1));
    sets.emplace(static_cast<uint32_t>(sets.size()), std::move(ranks).value());
    return Status::ok();
  });
  FARANDOLE_RETURN_IF_ERROR(status);
  sets.erase(0);
  return sets;
}

}  // namespace farandole

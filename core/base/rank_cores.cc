#include "core/base/rank_cores.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "core/base/cgroup.h"
#include "core/base/format.h"

namespace farandole {
namespace {

constexpr size_t kMostRanks = 65536;
constexpr int kLastCore = (1 << 20) - 1;

}  // namespace

std::optional<std::vector<int>> parse_core_list(std::string_view text) {
  std::vector<int> cores;
  for (;;) {
    const std::string_view word = text.substr(0, text.find(','));
    int core = -1;
    const auto [stop, failure] = std::from_chars(word.data(), word.data() + word.size(), core);
    if (failure != std::errc() || stop != word.data() + word.size() || core < 0 ||
        core > kLastCore || cores.size() == kMostRanks)
      return std::nullopt;
    cores.push_back(core);
    if (word.size() == text.size())
      return cores;
    text.remove_prefix(word.size() + 1);
  }
}

std::string core_list_text(const std::vector<int>& cores) {
  std::string text;
  for (const int core : cores) text += fmt::format("{}{}", text.empty() ? "" : ",", core);
  return text;
}

Result<int> thread_core(const std::vector<int>& cores, int local_rank, int local_size) {
  if (cores.size() >= static_cast<size_t>(local_size))
    return cores[static_cast<size_t>(local_rank)];
  return error(
      Code::InvalidArgument,
      "{}: {} names {} core{}, but {} ranks run on this host; name one for each",
      kThreadAffinity,
      printable(core_list_text(cores), 128),
      cores.size(),
      cores.size() == 1 ? "" : "s",
      local_size);
}

double cores_for_ranks(const Config& config, int local_size) {
  const std::vector<int>& cores = config.thread_affinity;
  const size_t named = std::min(cores.size(), static_cast<size_t>(local_size));
  if (std::set(cores.begin(), cores.begin() + static_cast<ptrdiff_t>(named)).size() < named)
    return 0;
  return config.host_cores > 0 ? static_cast<double>(config.host_cores) : usable_cores();
}

}  // namespace farandole

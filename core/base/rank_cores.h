#pragma once
// Which cores the ranks of a host and their threads have, by the settings. Pure, but for the count.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/config.h"
#include "core/base/status.h"

namespace farandole {

// What messages call the list of cores, wherever it came from.
inline constexpr const char* kThreadAffinity = "--thread-affinity (FARANDOLE_THREAD_AFFINITY)";

// "0,2": one core for each local rank, as the kernel numbers them; nothing for other text.
std::optional<std::vector<int>> parse_core_list(std::string_view text);
std::string core_list_text(const std::vector<int>& cores);

// That of one local rank. Fails: InvalidArgument where the list has none for some rank of the host.
Result<int> thread_core(const std::vector<int>& cores, int local_rank, int local_size);

// By how many cores a rank judges whether there is one for each rank of its host, so that one that
// waits may look for a while: those of the settings, else those that the calling thread may use.
// None where threads of several of the host's ranks are bound to the same core; the list may go on
// behind theirs.
double cores_for_ranks(const Config& config, int local_size);

}  // namespace farandole

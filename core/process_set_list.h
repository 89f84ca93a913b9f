#pragma once
// Process sets that exist from the start, as the setting process_sets writes them: "0-3;4,6".

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace farandole {

// By id: 1, 2, … in the order written. Fails: InvalidArgument naming the index of the set that is
// wrong: a rank that is none of 0 … size-1 or stands twice, or ranks that are another set's.
Result<std::map<uint32_t, std::vector<int>>> parse_process_sets(
    std::string_view text, int64_t size);

}  // namespace farandole

#pragma once
// The ONE table of settings. Everything that reads, checks, prints or documents them walks it.

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/config.h"

namespace farandole {

// A key: how it is called, what it accepts, how it is written and where it lands.
struct ConfigKey {
  const char* key;      // "fusion_bytes"
  const char* horovod;  // "HOROVOD_FUSION_THRESHOLD" or ""
  std::string accepts;  // "bytes 0 … 2^40"
  const char* text;
  std::function<bool(Config&, std::string_view)> parse;  // false: not a valid value
  std::function<std::string(const Config&)> print;
};

const std::vector<ConfigKey>& config_table();

// Variables of Horovod that, above 0, ask for one value of a key which has several; at 0 and below
// they ask for nothing. Read where neither the key nor its name of Horovod is set.
struct HorovodSwitch {
  const char* name;
  const char* key;
  const char* value;
};

inline constexpr std::array<HorovodSwitch, 2> kHorovodSwitches{{
    {"HOROVOD_HIERARCHICAL_ALLREDUCE", "communicator", "hierarchical"},
    {"HOROVOD_HIERARCHICAL_ALLGATHER", "communicator", "hierarchical"},
}};

}  // namespace farandole

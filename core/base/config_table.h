#pragma once
// The ONE table of settings. Everything that reads, checks, prints or documents them walks it.

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

}  // namespace farandole

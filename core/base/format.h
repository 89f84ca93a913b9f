#pragma once
// The one place that names the formatting library; `error` makes a Status from a format string.

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "core/base/status.h"

namespace farandole {

template <typename... Args>
Status error(Code code, fmt::format_string<Args...> text, Args&&... args) {
  return {code, fmt::format(text, std::forward<Args>(args)...)};
}

// "call: strerror (errno N)" as a System status, and what would help where that is the same for
// every call.
Status system_error(std::string_view call, int errno_value);

// Text from elsewhere (tensor names, host names, exceptions) made safe for one line of log or
// error: control characters and invalid UTF-8 as \xNN, at most `limit` bytes then "…".
std::string printable(std::string_view text, size_t limit = 512);

}  // namespace farandole

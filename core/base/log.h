#pragma once
// Logging: one line per event, to stderr, quiet by default (warnings and worse). Thread: any.
//   FARANDOLE_LOG(Warning, "fell back to {}: {}", name, why);

#include <atomic>
#include <functional>
#include <string_view>

#include "core/base/format.h"

namespace farandole {

enum class LogLevel : int {
  Trace = 0,
  Debug = 1,
  Info = 2,
  Warning = 3,
  Error = 4,
  Fatal = 5,
  Off = 6
};

using LogSink = std::function<void(LogLevel, std::string_view)>;

// Level, prefix ("rank 3") and sink of this process. Called by the composition root; the last
// call wins. An empty sink restores stderr.
void configure_log(LogLevel level, std::string_view prefix);
void set_log_sink(LogSink sink);
LogLevel log_level() noexcept;
void write_log(LogLevel level, std::string_view text);

}  // namespace farandole

#define FARANDOLE_LOG(level, ...)                                                     \
  do {                                                                                \
    if (::farandole::LogLevel::level >= ::farandole::log_level())                     \
      ::farandole::write_log(::farandole::LogLevel::level, fmt::format(__VA_ARGS__)); \
  } while (false)

#pragma once
// Logging: one line per event, to stderr, quiet by default (warnings and worse), with the label of
// the thread that writes it. Thread: any.
//   FARANDOLE_LOG(Warning, "fell back to {}: {}", name, why);

#include <functional>
#include <string>
#include <string_view>

#include "core/base/format.h"
#include "core/base/log_label.h"

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

// A session's part in the log of this process, made by the composition root: its label, and its
// level while it lives. There is one log_level(): that of the most verbose living session, Warning
// where there is none. So a session may see its lines of a level that another one asked for.
class LogMember {
 public:
  // `name` ("rank 3") may be empty: no label.
  LogMember(LogLevel level, std::string_view name);
  ~LogMember();
  LogMember(const LogMember&) = delete;
  LogMember& operator=(const LogMember&) = delete;

  const LogLabel& label() const noexcept { return label_; }

 private:
  const LogLevel level_;
  const LogLabel label_;
};

// Instead of stderr; called on the thread that writes. An empty one restores stderr.
void set_log_sink(LogSink sink);
LogLevel log_level() noexcept;
void write_log(LogLevel level, std::string_view text);

}  // namespace farandole

#define FARANDOLE_LOG(level, ...)                                                     \
  do {                                                                                \
    if (::farandole::LogLevel::level >= ::farandole::log_level())                     \
      ::farandole::write_log(::farandole::LogLevel::level, fmt::format(__VA_ARGS__)); \
  } while (false)

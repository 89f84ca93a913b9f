#include "core/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "core/base/mutex.h"

namespace farandole {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  return static_cast<spdlog::level::level_enum>(static_cast<int>(level));
}

// Logging is the one process-wide service: a log line must be possible from any thread of any
// session. It lives here, behind four functions, and is never destroyed so that late threads are
// safe.
struct LogState {
  LogState() {
    auto to_stderr = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    logger = std::make_shared<spdlog::logger>("farandole", std::move(to_stderr));
    logger->set_pattern("%Y-%m-%d %H:%M:%S.%e [%n] %^%l%$: %v");
    logger->set_level(spdlog::level::trace);
    logger->flush_on(spdlog::level::trace);
  }

  std::atomic<LogLevel> level{LogLevel::Warning};
  Mutex mutex;
  LogSink sink FARANDOLE_GUARDED_BY(mutex);
  std::shared_ptr<spdlog::logger> logger FARANDOLE_GUARDED_BY(mutex);
};

LogState& state() {
  static LogState* const instance = new LogState;
  return *instance;
}

}  // namespace

void configure_log(LogLevel level, std::string_view prefix) {
  LogState& s = state();
  s.level = level;
  MutexLock lock(s.mutex);
  const std::string name = prefix.empty() ? "" : " " + std::string(prefix);
  s.logger->set_pattern("%Y-%m-%d %H:%M:%S.%e [farandole" + name + "] %^%l%$: %v");
}

void set_log_sink(LogSink sink) {
  MutexLock lock(state().mutex);
  state().sink = std::move(sink);
}

LogLevel log_level() noexcept {
  return state().level.load(std::memory_order_relaxed);
}

void write_log(LogLevel level, std::string_view text) {
  LogState& s = state();
  MutexLock lock(s.mutex);
  if (s.sink) {
    s.sink(level, text);
    return;
  }
  s.logger->log(to_spdlog(level), "{}", printable(text, 4096));
}

}  // namespace farandole

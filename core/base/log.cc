#include "core/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>
#include <set>

#include "core/base/mutex.h"

namespace farandole {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  return static_cast<spdlog::level::level_enum>(static_cast<int>(level));
}

// Logging is the one process-wide service: a log line must be possible from any thread of any
// session. It lives here, behind few functions, and is never destroyed so that late threads are
// safe.
struct LogState {
  LogState() { to_stderr.set_pattern("%Y-%m-%d %H:%M:%S.%e [%n] %^%l%$: %v"); }

  void update() FARANDOLE_REQUIRES(mutex) {
    level = wanted.empty() ? LogLevel::Warning : *wanted.begin();
  }

  std::atomic<LogLevel> level{LogLevel::Warning};
  Mutex mutex;
  std::multiset<LogLevel> wanted FARANDOLE_GUARDED_BY(mutex);  // by living sessions
  LogSink sink FARANDOLE_GUARDED_BY(mutex);
  spdlog::sinks::stderr_color_sink_mt to_stderr;
};

LogState& state() {
  static LogState* const instance = new LogState;
  return *instance;
}

}  // namespace

LogMember::LogMember(LogLevel level, std::string_view name)
    : level_(level), label_(name.empty() ? nullptr : std::make_shared<const std::string>(name)) {
  MutexLock lock(state().mutex);
  state().wanted.insert(level_);
  state().update();
}

LogMember::~LogMember() {
  MutexLock lock(state().mutex);
  state().wanted.erase(state().wanted.find(level_));
  state().update();
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
  const LogLabel label = log_label();
  const std::string name = label ? "farandole " + *label : "farandole";
  const std::string line = printable(text, 4096);
  s.to_stderr.log(spdlog::details::log_msg(name, to_spdlog(level), line));
  s.to_stderr.flush();
}

}  // namespace farandole

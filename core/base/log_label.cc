#include "core/base/log_label.h"

#include <utility>

namespace farandole {
namespace {

// Points into the thread's innermost scope.
thread_local const LogLabel* thread_label = nullptr;

}  // namespace

LogLabel log_label() {
  return thread_label != nullptr ? *thread_label : nullptr;
}

LogScope::LogScope(LogLabel label) noexcept
    : label_(std::move(label)), before_(std::exchange(thread_label, &label_)) {}

LogScope::~LogScope() {
  thread_label = before_;
}

}  // namespace farandole

#pragma once
// abandon(): what a thread that cannot be ended still uses stays until the process ends.

#include <memory>

#ifdef FARANDOLE_LEAK_CHECK
#include <sanitizer/lsan_interface.h>
#endif

namespace farandole {

// Nothing will free it, and LeakSanitizer is told that this is meant.
template <typename T>
void abandon(std::unique_ptr<T>& owner) noexcept {
  [[maybe_unused]] const T* const object = owner.release();  // NOLINT(bugprone-unused-return-value)
#ifdef FARANDOLE_LEAK_CHECK
  __lsan_ignore_object(object);
#endif
}

}  // namespace farandole

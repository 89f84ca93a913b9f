#include "controller/launch/poll_wait.h"

#include "core/base/failpoint.h"
#include "core/base/timespec.h"

namespace farandole::launch {

void poll_until(std::span<pollfd> fds, std::optional<TimePoint> deadline) noexcept {
  const timespec timeout = deadline ? to_timespec(*deadline - steady_now()) : timespec{};
  if (FARANDOLE_FAIL_CALL(
          "poll_wait.poll_until.ppoll",
          ppoll(fds.data(), fds.size(), deadline ? &timeout : nullptr, nullptr)) < 0) {
    for (pollfd& entry : fds) entry.revents = 0;
  }
}

}  // namespace farandole::launch

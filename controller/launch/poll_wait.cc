#include "controller/launch/poll_wait.h"

#include <algorithm>
#include <ctime>

#include "core/base/failpoint.h"

namespace farandole::launch {

void poll_until(std::span<pollfd> fds, std::optional<TimePoint> deadline) noexcept {
  timespec timeout{};
  if (deadline) {
    const int64_t left = std::max<int64_t>(0, (*deadline - steady_now()).count());
    timeout = {static_cast<time_t>(left / 1'000'000'000), static_cast<long>(left % 1'000'000'000)};
  }
  if (FARANDOLE_FAIL_CALL(
          "poll_wait.poll_until.ppoll",
          ppoll(fds.data(), fds.size(), deadline ? &timeout : nullptr, nullptr)) < 0) {
    for (pollfd& entry : fds) entry.revents = 0;
  }
}

}  // namespace farandole::launch

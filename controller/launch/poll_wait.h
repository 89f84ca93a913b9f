#pragma once
// ppoll with a deadline.

#include <poll.h>

#include <optional>
#include <span>

#include "core/base/clock.h"

namespace farandole::launch {

// Blocks until one of `fds` has events or the deadline has passed; entries with fd < 0 are passed
// over. On an interruption returns with no events.
void poll_until(std::span<pollfd> fds, std::optional<TimePoint> deadline) noexcept;

}  // namespace farandole::launch

// Mesh: how it ends.
//
// close(2) with unread bytes makes the kernel send a reset, and a reset destroys what is still on
// its way to the peer. So the sending half is closed first and what comes is read and dropped,
// until the peer's kernel has acknowledged everything, or the peer has closed, too, or its time is
// over.
#include <poll.h>

#include <algorithm>

#include "collectives/gloo/transport/mesh.h"
#include "core/base/failpoint.h"
#include "core/base/patience.h"
#include "core/base/timespec.h"

namespace farandole::gloo_transport {
namespace {

constexpr Duration kFirstLook = std::chrono::milliseconds(1);
constexpr Duration kLongestPause = std::chrono::seconds(1);

}  // namespace

Mesh::~Mesh() {
  FARANDOLE_FAILPOINT("gloo_farewell.goodbye");
  say_goodbye();
  // After a failure only the frame that names the culprit has to go, without which a peer would
  // blame this member.
  linger(steady_now() + (failed() ? patience::kLastWords : options_.farewell));
}

void Mesh::say_goodbye() noexcept {
  const Status why = status();
  for (const auto& each : links_)
    if (each)
      each->say_leave(why.is_ok() ? Parting::Orderly : Parting::Failed, why.culprit());
}

// The kernel offers no event for "acknowledged", so the pauses between two looks double.
void Mesh::linger(TimePoint deadline) noexcept {
  std::vector<Link*> open;
  for (const auto& each : links_)
    if (each)
      open.push_back(each.get());
  for (Duration pause = kFirstLook;; pause = std::min(2 * pause, kLongestPause)) {
    std::vector<pollfd> fds;
    std::erase_if(open, [](Link* each) {
      size_t moved = 0;
      (void)each->flush(moved);
      if (each->drained())
        each->finish();
      return each->discard() || (each->drained() && !each->unacknowledged());
    });
    const TimePoint now = steady_now();
    if (open.empty() || now >= deadline)
      return;
    for (const Link* each : open)
      fds.push_back({each->fd(), static_cast<short>(POLLIN | (each->drained() ? 0 : POLLOUT)), 0});
    const timespec limit = to_timespec(std::min(pause, deadline - now));
    (void)FARANDOLE_FAIL_CALL(
        "gloo_farewell.linger.ppoll", ::ppoll(fds.data(), fds.size(), &limit, nullptr));
  }
}

}  // namespace farandole::gloo_transport

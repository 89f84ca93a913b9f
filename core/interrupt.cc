#include "core/interrupt.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/format.h"

namespace farandole {

Result<std::shared_ptr<Interrupt>> Interrupt::make() {
  const int fd =
      FARANDOLE_FAIL_CALL("interrupt.make.eventfd", ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (fd < 0)
    return system_error("eventfd", errno);
  return std::shared_ptr<Interrupt>(new Interrupt(fd));
}

Interrupt::~Interrupt() {
  ::close(fd_);
}

void Interrupt::trigger(Status why) {
  {
    MutexLock lock(mutex_);
    if (!why_.is_ok())
      return;
    why_ = std::move(why);
  }
  ::eventfd_write(fd_, 1);
}

Status Interrupt::status() const {
  MutexLock lock(mutex_);
  return why_;
}

}  // namespace farandole

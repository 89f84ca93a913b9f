#include "controller/launch/outpost_input.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/failpoint.h"
#include "core/base/format.h"

namespace farandole::launch {

Status OutpostInput::open() {
  int ends[2];
  if (FARANDOLE_FAIL_CALL("outpost_input.open.pipe2", pipe2(ends, O_CLOEXEC)) != 0)
    return system_error("pipe2", errno);
  const UniqueFd reading(ends[0]);
  fd_ = UniqueFd(ends[1]);
  if (FARANDOLE_FAIL_CALL("outpost_input.open.fcntl", fcntl(fd_.get(), F_SETFL, O_NONBLOCK)) != 0)
    return system_error("fcntl(F_SETFL)", errno);
  if (FARANDOLE_FAIL_CALL("outpost_input.open.dup2", dup2(reading.get(), STDIN_FILENO)) < 0)
    return system_error("dup2", errno);
  return Status::ok();
}

void OutpostInput::add(net::ByteSpan bytes) {
  if (bytes.size() <= kInputWindow - waiting_.size())
    waiting_.append(bytes.begin(), bytes.end());
}

size_t OutpostInput::pass() {
  size_t passed = 0;
  while (!waiting_.empty()) {
    const ssize_t wrote = FARANDOLE_FAIL_CALL(
        "outpost_input.pass.write",
        write(
            fd_.get(),
            waiting_.data(),
            FARANDOLE_FAIL_SIZE("outpost_input.pass.write", waiting_.size())));
    if (wrote < 0 && errno == EINTR)
      continue;
    if (wrote < 0 && errno == EAGAIN)
      return passed;
    const size_t taken = wrote < 0 ? waiting_.size() : static_cast<size_t>(wrote);
    waiting_.erase(0, taken);
    passed += taken;
  }
  if (ended_)
    fd_.reset();
  return passed;
}

void OutpostInput::drop() noexcept {
  fd_.reset();
  waiting_.clear();
}

}  // namespace farandole::launch

#include "controller/launch/remote_host.h"

#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/base/failpoint.h"
#include "core/base/uninterrupted.h"

namespace farandole::launch {
namespace {

constexpr size_t kErrorBytes = 16 << 10;

}  // namespace

bool RemoteHost::read_errors() {
  std::array<char, 4096> buffer;
  while (errors) {
    const ssize_t got = uninterrupted([&] {
      return FARANDOLE_FAIL_CALL(
          "remote_host.read_errors.read", read(errors.get(), buffer.data(), buffer.size()));
    });
    if (got < 0 && errno == EAGAIN)
      return true;
    if (got <= 0) {
      errors.reset();
      break;
    }
    error_text_.append(buffer.data(), static_cast<size_t>(got));
    if (error_text_.size() > kErrorBytes)
      error_text_.erase(0, error_text_.size() - kErrorBytes);
  }
  return false;
}

void RemoteHost::taken(size_t bytes) {
  taken_ += bytes;
  if (taken_ < kOutputWindow / 4)
    return;
  link.send(FrameKind::OutputTaken, encode_number(static_cast<uint32_t>(taken_)));
  taken_ = 0;
}

}  // namespace farandole::launch

#include "controller/launch/output_queue.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/failpoint.h"

namespace farandole::launch {
namespace {

constexpr size_t kChunkBytes = 64 << 10;
constexpr size_t kTurnBytes = 256 << 10;

bool takes_more(int fd) noexcept {
  pollfd entry{fd, POLLOUT, 0};
  return FARANDOLE_FAIL_CALL("output_queue.takes_more.poll", poll(&entry, 1, 0)) > 0;
}

}  // namespace

void OutputQueue::add(int fd, std::string_view bytes) {
  if (bytes.empty())
    return;
  if (chunks_.empty() || chunks_.back().fd != fd || chunks_.back().bytes.size() > kChunkBytes)
    chunks_.push_back({fd, {}});
  chunks_.back().bytes += bytes;
  bytes_ += bytes.size();
}

// The descriptors are shared with other programs and must not be made non-blocking; but a pipe that
// poll calls writable takes PIPE_BUF bytes without blocking.
OutputQueue::Write OutputQueue::write_some() {
  for (size_t turn = 0; turn < kTurnBytes && !chunks_.empty();) {
    const Chunk& chunk = chunks_.front();
    if (!takes_more(chunk.fd))
      return Write::Wait;
    const size_t size = std::min<size_t>(PIPE_BUF, chunk.bytes.size() - written_);
    const ssize_t wrote = FARANDOLE_FAIL_CALL(
        "output_queue.write_some.write",
        write(
            chunk.fd,
            chunk.bytes.data() + written_,
            FARANDOLE_FAIL_SIZE("output_queue.write_some.write", size)));
    if (wrote < 0 && (errno == EINTR || errno == EAGAIN))
      return Write::Wait;
    if (wrote < 0) {
      const int why = errno;
      drop_front_fd();
      errno = why;
      return why == EPIPE ? Write::Closed : Write::Failed;
    }
    turn += static_cast<size_t>(wrote);
    written_ += static_cast<size_t>(wrote);
    bytes_ -= static_cast<size_t>(wrote);
    if (written_ == chunk.bytes.size()) {
      chunks_.pop_front();
      written_ = 0;
    }
  }
  return chunks_.empty() ? Write::Done : Write::Wait;
}

void OutputQueue::drop_front_fd() noexcept {
  const int fd = next_fd();
  std::erase_if(chunks_, [&](const Chunk& chunk) { return chunk.fd == fd; });
  written_ = 0;
  bytes_ = 0;
  for (const Chunk& chunk : chunks_) bytes_ += chunk.bytes.size();
}

void OutputQueue::drop_all() noexcept {
  chunks_.clear();
  written_ = 0;
  bytes_ = 0;
}

}  // namespace farandole::launch

#pragma once
// Bytes on their way to the launcher's stdout or stderr, written without ever blocking.

#include <deque>
#include <string>
#include <string_view>

namespace farandole::launch {

// A bounded use is the caller's part: it stops reading from the ranks while full() holds.
class OutputQueue {
 public:
  enum class Write { Done, Wait, Closed, Failed };

  void add(int fd, std::string_view bytes);
  bool empty() const noexcept { return chunks_.empty(); }
  bool full() const noexcept { return bytes_ >= kFullBytes; }
  // Where the next bytes go; -1 when there are none.
  int next_fd() const noexcept { return chunks_.empty() ? -1 : chunks_.front().fd; }

  // Writes while next_fd() takes more, a bounded amount. Wait: it takes no more yet. Closed:
  // its reader is gone. Failed: errno says why; what was meant for that descriptor is dropped.
  Write write_some();
  void drop_all() noexcept;

 private:
  static constexpr size_t kFullBytes = 1 << 20;
  struct Chunk {
    int fd;
    std::string bytes;
  };
  void drop_front_fd() noexcept;

  std::deque<Chunk> chunks_;
  size_t written_ = 0;  // of the first chunk
  size_t bytes_ = 0;
};

}  // namespace farandole::launch

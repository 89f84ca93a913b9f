#pragma once
// Log labels: whose lines a thread writes, "rank 3". A session labels the threads that it starts,
// and a caller's thread while it is in the session: so lines of several sessions in one process
// can be told apart.

#include <memory>
#include <string>

namespace farandole {

using LogLabel = std::shared_ptr<const std::string>;

// Of the calling thread; null where it has none. Whoever starts a thread hands its own label over.
LogLabel log_label();

// The calling thread's label until this is destroyed; the latest counts. Thread: one.
class LogScope {
 public:
  explicit LogScope(LogLabel label) noexcept;
  ~LogScope();
  LogScope(const LogScope&) = delete;
  LogScope& operator=(const LogScope&) = delete;

 private:
  const LogLabel label_;
  const LogLabel* const before_;
};

}  // namespace farandole

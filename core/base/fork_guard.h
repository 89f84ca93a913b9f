#pragma once
// ForkGuard: tells an object whether it still lives in the process that made it. A forked child
// inherits sockets and memory but no thread: objects that own threads or connections keep one and
// leave everything alone in a child (no join, no shutdown(2), no goodbye), so that the parent is
// unharmed whatever the child does.

#include <unistd.h>

namespace farandole {

class ForkGuard {
 public:
  bool in_child() const noexcept { return getpid() != owner_; }

 private:
  pid_t owner_ = getpid();
};

}  // namespace farandole

#pragma once
// Sockets that a forked child does not keep: as long as any process holds a copy of a dead rank's
// socket, no end-of-file tells its peers, and a data loader's workers outlive the rank by seconds.
//
//   UniqueFd fd(closed_on_fork([&] { return ::socket(...); }));
//
// In a child of fork(2) each of them is replaced by something empty, which the kernel does not tell
// the parent or the peer of: nothing leaves the parent's epoll set, nothing is shut down. The
// number stays taken, so that what the child's objects close later is no file of the child's own.
//
// Owners close them as any other: what was entered is known by its inode, so another file that got
// the number is left alone. What bypasses fork(3)'s handlers (vfork, posix_spawn, clone) keeps them
// until it calls exec, which is what close-on-exec is for. Not among them: a number of 65536 or
// more.

#include <csignal>

namespace farandole {

// While one lives, fork(2) waits in whatever thread calls it, and its own thread handles no signal:
// a handler that forks would wait for what it interrupts.
class ForkHold {
 public:
  ForkHold();
  ~ForkHold();
  ForkHold(const ForkHold&) = delete;
  ForkHold& operator=(const ForkHold&) = delete;

  // False: children could not be made to close anything, and errno says why.
  bool works() const noexcept { return works_; }
  // Enters what a call returned, and returns it; where that fails it is closed: -1 and errno.
  int enter(int fd) const;

 private:
  bool works_;
  sigset_t signals_;  // that its thread had blocked before
};

// `make` calls what makes a socket and must not wait: its descriptor, or -1 and errno.
// Threads: any. No fork comes between the socket and its entry.
template <typename Make>
int closed_on_fork(Make make) {
  const ForkHold hold;
  return hold.works() ? hold.enter(make()) : -1;
}

}  // namespace farandole

#include "core/base/fork_closed.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <mutex>

#include "core/base/failpoint.h"
#include "core/base/unique_fd.h"

namespace farandole {
namespace {

constexpr size_t kMost = 1 << 16;

// Of the process, as the handlers of fork(3) are. Bare of annotations: handlers lock and unlock it
// in different functions.
struct Registry {
  std::mutex mutex;
  bool handled = false;
  sigset_t signals = {};                  // that the thread that forks had blocked before
  size_t end = 0;                         // behind the highest number that was entered
  std::array<ino_t, kMost> entered = {};  // by number; 0: none. Stale where it was closed since
};

constinit Registry fork_registry;

// What a thread had blocked before; from now on it handles no signal.
sigset_t without_signals() {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  return before;
}

void as_before(const sigset_t& signals) {
  pthread_sigmask(SIG_SETMASK, &signals, nullptr);
}

// Without signals from here on: a handler that forks, too, would find the mutex taken by its own
// thread.
void before_fork() {
  const sigset_t signals = without_signals();
  fork_registry.mutex.lock();
  fork_registry.signals = signals;
}

void after_fork() {
  const sigset_t signals = fork_registry.signals;
  fork_registry.mutex.unlock();
  as_before(signals);
}

bool is_still(int fd, ino_t entered) {
  struct stat now {};
  return fstat(fd, &now) == 0 && S_ISSOCK(now.st_mode) && now.st_ino == entered;
}

// Calls only what a child of a process with several threads may call.
void in_child() {
  const int kept = errno;
  int nothing = -1;
  for (size_t number = 0; number < fork_registry.end; ++number) {
    const int fd = static_cast<int>(number);
    const ino_t entered = fork_registry.entered[number];
    fork_registry.entered[number] = 0;
    if (entered == 0 || !is_still(fd, entered))
      continue;
    if (nothing < 0)
      nothing = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (nothing < 0 || dup3(nothing, fd, O_CLOEXEC) < 0)
      close(fd);  // out of descriptors: that the others hear of a death weighs more
  }
  if (nothing >= 0)
    close(nothing);
  fork_registry.end = 0;
  errno = kept;
  after_fork();
}

// Only under the mutex. Once, for as long as the library is loaded.
bool handle_forks() {
  if (fork_registry.handled)
    return true;
  const int why = FARANDOLE_FAIL_CALL(
      "fork_closed.handle_forks.pthread_atfork", pthread_atfork(before_fork, after_fork, in_child));
  if (why > 0)
    errno = why;
  fork_registry.handled = why == 0;
  return fork_registry.handled;
}

}  // namespace

ForkHold::ForkHold() : signals_(without_signals()) {
  std::unique_lock lock(fork_registry.mutex);
  works_ = handle_forks();
  lock.release();
}

ForkHold::~ForkHold() {
  fork_registry.mutex.unlock();
  as_before(signals_);
}

int ForkHold::enter(int fd) const {
  if (fd < 0 || static_cast<size_t>(fd) >= kMost)
    return fd;
  UniqueFd owner(fd);
  struct stat made {};
  if (FARANDOLE_FAIL_CALL("fork_closed.enter.fstat", fstat(fd, &made)) != 0)
    return -1;
  const auto number = static_cast<size_t>(fd);
  fork_registry.entered[number] = made.st_ino;
  if (number >= fork_registry.end)
    fork_registry.end = number + 1;
  return owner.release();
}

}  // namespace farandole

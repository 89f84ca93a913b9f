#include "core/base/thread.h"

#include <pthread.h>

#include <cerrno>
#include <list>
#include <system_error>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/mutex.h"
#include "core/base/refusal.h"

namespace farandole {

// Those that have not ended: a thread leaves before its handle means nothing any more.
struct StartedThreads::Roll {
  Mutex mutex;
  std::list<pthread_t> running FARANDOLE_GUARDED_BY(mutex);
};

namespace {

using Roll = std::shared_ptr<StartedThreads::Roll>;

// Points into the thread's innermost StartedThreads.
thread_local const Roll* thread_roll = nullptr;

// Its place on the roll is there before the thread is, so that nothing can fail once it runs. The
// lock is held until the place is filled: nobody sees it empty, and the thread cannot leave before.
std::thread start_on(const Roll& roll, std::function<void()> body) {
  std::list<pthread_t> place(1);
  const auto entry = place.begin();
  MutexLock lock(roll->mutex);
  std::thread thread([roll, entry, body = std::move(body)]() mutable {
    body();
    body = nullptr;
    MutexLock leaving(roll->mutex);
    roll->running.erase(entry);
  });
  *entry = thread.native_handle();
  roll->running.splice(roll->running.end(), place);
  return thread;
}

}  // namespace

StartedThreads::StartedThreads()
    : roll_(std::make_shared<Roll>()), before_(std::exchange(thread_roll, &roll_)) {}

StartedThreads::~StartedThreads() {
  thread_roll = before_;
}

int StartedThreads::bind(const CpuSet& cpus) {
  MutexLock lock(roll_->mutex);
  for (const pthread_t thread : roll_->running) {
    if (const int why = bind_thread(thread, cpus); why != 0)
      return why;
  }
  return 0;
}

std::thread start_thread(const std::string& name, std::function<void()> body) {
  try {
    if (FARANDOLE_FAIL_CALL("thread.start.pthread_create", 0) != 0)
      throw std::system_error(errno, std::generic_category());
    std::thread thread =
        thread_roll ? start_on(*thread_roll, std::move(body)) : std::thread(std::move(body));
    // From here, so that whoever looks at the process finds it named.
    pthread_setname_np(thread.native_handle(), name.substr(0, 15).c_str());
    return thread;
  } catch (const std::system_error& refused) {
    throw Refusal(error(
        Code::System,
        "{}; allow more threads (ulimit -u, or pids.max of the container) or more memory",
        system_error("starting the thread " + name, refused.code().value()).message()));
  }
}

}  // namespace farandole

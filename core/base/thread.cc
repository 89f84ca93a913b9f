#include "core/base/thread.h"

#include <pthread.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/refusal.h"

namespace farandole {

std::thread start_thread(const std::string& name, std::function<void()> body) {
  try {
    if (FARANDOLE_FAIL_CALL("thread.start.pthread_create", 0) != 0)
      throw std::system_error(errno, std::generic_category());
    std::thread thread(std::move(body));
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

#pragma once
// start_thread: where all threads begin, so that a system which has none left is the same clear
// error everywhere, and so that those of a session are known together.

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "core/base/affinity.h"

namespace farandole {

// The kernel keeps 15 bytes of the name. Fails: throws Refusal.
std::thread start_thread(const std::string& name, std::function<void()> body);

// The threads that the calling one starts until this is destroyed; the latest counts. Thread: one.
class StartedThreads {
 public:
  StartedThreads();
  ~StartedThreads();
  StartedThreads(const StartedThreads&) = delete;
  StartedThreads& operator=(const StartedThreads&) = delete;

  // Binds those that still run; what they start from here on is bound like them. 0, or an errno as
  // of bind_thread().
  int bind(const CpuSet& cpus);

  struct Roll;

 private:
  const std::shared_ptr<Roll> roll_;
  const std::shared_ptr<Roll>* const before_;
};

}  // namespace farandole

#pragma once
// BoundedThread: a thread whose end is waited for with a deadline.

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "core/base/clock.h"
#include "core/base/thread.h"

namespace farandole {

// Thread: one at a time, but for id(). Requires: join_until() gave true, or abandon(), before it is
// destroyed.
class BoundedThread {
 public:
  // Fails: throws Refusal.
  BoundedThread(const std::string& name, std::function<void()> body) {
    const auto ended = std::make_shared<std::promise<void>>();
    ended_ = ended->get_future();
    thread_ = start_thread(name, [body = std::move(body), ended]() mutable {
      body();
      body = nullptr;
      ended->set_value();
    });
  }

  // False at the deadline, where the body still runs. Not from the thread itself.
  bool join_until(TimePoint deadline) {
    if (ended_.wait_until(deadline) != std::future_status::ready)
      return false;
    thread_.join();
    return true;
  }
  // What the body uses must then stay until the process ends.
  void abandon() { thread_.detach(); }

  std::thread::id id() const noexcept { return thread_.get_id(); }

 private:
  std::future<void> ended_;
  std::thread thread_;
};

}  // namespace farandole

#pragma once
// LastWords: a process that has ended may have said something before; that is read first.

#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "core/net/io_thread.h"

namespace farandole::control {

// Thread: the loop's. Holds what it waits for, and nothing of the past.
class LastWords {
 public:
  explicit LastWords(net::IoThread& io)
      : io_(&io), timers_(std::make_shared<std::map<int, net::LoopTimer>>()) {}

  // Calls `then` at `due`, behind whatever has come on the sockets by then; replaces what was to be
  // called for this watch.
  void await(int watch, TimePoint due, std::function<void()> then) {
    const std::weak_ptr timers = timers_;
    timers_->try_emplace(watch, *io_)
        .first->second.set(due, [io = io_, timers, watch, then = std::move(then)] {
          io->post([timers, watch, then] {
            if (const auto held = timers.lock(); held && held->erase(watch) > 0)
              then();
          });
        });
  }
  // Nothing is called any more.
  void clear() { timers_->clear(); }
  size_t size() const noexcept { return timers_->size(); }

 private:
  net::IoThread* io_;
  std::shared_ptr<std::map<int, net::LoopTimer>> timers_;  // by watch
};

}  // namespace farandole::control

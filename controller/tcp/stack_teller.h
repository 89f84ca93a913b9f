#pragma once
// StackTeller: has the program say where its threads are, on a thread of its own, because the
// program may take its time, or never answer: a Python whose threads do not give way. The thread
// begins with the first question and stays, so that the loop never waits for one to end.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/base/bounded_thread.h"
#include "core/net/io_thread.h"

namespace farandole::control {

// Thread: the loop's, but where it says otherwise.
class StackTeller {
 public:
  // What the program says, as lines. Called on another thread, one at a time.
  using Stacks = std::function<std::string()>;
  using Answer = std::function<void(uint64_t number, std::string text)>;
  // How long the program has, before its silence is the answer.
  static constexpr Duration kPatience = std::chrono::milliseconds(1500);

  // `stacks` may be empty. `answer` is called on the loop, once for each question.
  StackTeller(std::shared_ptr<net::IoThread> io, Stacks stacks, Answer answer);
  void ask(uint64_t number);
  // No question and no answer afterwards.
  void close();
  // Thread: any but the loop's, after close(). False where the program has not come back by then:
  // it goes on, on its thread.
  bool stop(TimePoint deadline);

 private:
  struct State;
  void start_thread();

  const std::shared_ptr<net::IoThread> io_;
  const std::shared_ptr<State> state_;  // the thread's, too
  std::optional<BoundedThread> thread_;
};

}  // namespace farandole::control

#pragma once
// What fdl_init calls back, and the session until its end.

#include <pybind11/pybind11.h>

#include <atomic>
#include <cstddef>
#include <memory>

namespace farandole::python {

// fdl_options::user of the two below. Thread: made and destroyed under the GIL.
struct Callbacks {
  pybind11::object given_up, stacks;
  // Calls of stacks_of() that have not returned. Of any thread.
  std::atomic<int> telling{0};
};

// Leaves them to a call that still waits for the interpreter: such a thread outlives its session.
struct CallbacksEnd {
  void operator()(Callbacks* callbacks) const noexcept;
};
using CallbacksPtr = std::unique_ptr<Callbacks, CallbacksEnd>;

// As fdl_options::give_up and stacks; without the GIL.
int interrupted(void* user);
size_t stacks_of(void* user, char* text, size_t capacity);

}  // namespace farandole::python

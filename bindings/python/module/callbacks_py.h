#pragma once
// What fdl_init calls back, and the session until its end.

#include <pybind11/pybind11.h>

#include <cstddef>

namespace farandole::python {

// fdl_options::user of the two below. Thread: made and destroyed under the GIL.
struct Callbacks {
  pybind11::object given_up, stacks;
};

// As fdl_options::give_up and stacks; without the GIL.
int interrupted(void* user);
size_t stacks_of(void* user, char* text, size_t capacity);

}  // namespace farandole::python

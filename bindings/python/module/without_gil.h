#pragma once
// Lets other threads of Python run while this one blocks.

#include <pybind11/pybind11.h>

namespace farandole::python {

// As pybind11's gil_scoped_release, but it can be unwound where it takes the GIL back: before 3.14
// CPython ends a daemon thread there by pthread_exit when the interpreter has gone meanwhile, and
// what unwinds the stack then would meet a destructor that lets nothing out.
// Thread: one that holds the GIL.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  ~WithoutGil() noexcept(false) { PyEval_RestoreThread(state_); }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* state_;
};

}  // namespace farandole::python

#include "bindings/python/module/callbacks_py.h"

#include <algorithm>

namespace py = pybind11;

namespace farandole::python {

// Runs Python's signal handlers, on the main thread, and asks the callable `given_up`; whether one
// of them raised, or it said yes. The exception stands until fdl_init has returned.
int interrupted(void* user) {
  const py::gil_scoped_acquire locked;
  if (PyErr_CheckSignals() != 0)
    return 1;
  PyObject* answer = PyObject_CallNoArgs(static_cast<Callbacks*>(user)->given_up.ptr());
  const int yes = answer ? PyObject_IsTrue(answer) : 1;
  Py_XDECREF(answer);
  return yes != 0 ? 1 : 0;
}

// On a thread of Farandole's, the only one that touches Python: it may wait for the interpreter for
// as long as that takes, since nobody waits for it but shutdown(), which gives the interpreter
// away.
size_t stacks_of(void* user, char* text, size_t capacity) {
  Callbacks& callbacks = *static_cast<Callbacks*>(user);
  callbacks.telling.fetch_add(1);
  const py::gil_scoped_acquire locked;
  PyObject* told = PyObject_CallNoArgs(callbacks.stacks.ptr());
  Py_ssize_t size = 0;
  const char* bytes = told ? PyUnicode_AsUTF8AndSize(told, &size) : nullptr;
  const size_t written = bytes ? std::min(static_cast<size_t>(size), capacity) : 0;
  std::copy_n(bytes, written, text);
  Py_XDECREF(told);
  PyErr_Clear();
  callbacks.telling.fetch_sub(1);
  return written;
}

void CallbacksEnd::operator()(Callbacks* callbacks) const noexcept {
  if (callbacks->telling.load() == 0)
    delete callbacks;
}

}  // namespace farandole::python

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

namespace {

// Of a thread's calls those are told: the innermost and the outermost.
constexpr Py_ssize_t kInnermost = 64;
constexpr Py_ssize_t kOutermost = 32;

bool append(PyObject* list, PyObject* item) {
  const bool done = item != nullptr && PyList_Append(list, item) == 0;
  Py_XDECREF(item);
  return done;
}

// (file, line, function) of one call.
PyObject* call_of(PyFrameObject* frame) {
  auto* const code = reinterpret_cast<PyObject*>(PyFrame_GetCode(frame));
  PyObject* const file = PyObject_GetAttrString(code, "co_filename");
  PyObject* const name = PyObject_GetAttrString(code, "co_name");
  PyObject* const call =
      file && name ? Py_BuildValue("(OiO)", file, PyFrame_GetLineNumber(frame), name) : nullptr;
  Py_XDECREF(name);
  Py_XDECREF(file);
  Py_DECREF(code);
  return call;
}

// Takes a reference to `frame` and gives one to the call's caller, if there is one.
PyFrameObject* caller_of(PyFrameObject* frame) {
  PyFrameObject* const caller = PyFrame_GetBack(frame);
  Py_DECREF(frame);
  return caller;
}

Py_ssize_t depth_of(PyFrameObject* frame) {
  Py_ssize_t depth = 0;
  Py_INCREF(frame);
  for (; frame != nullptr; frame = caller_of(frame)) ++depth;
  return depth;
}

// (thread, its innermost calls, how many are left out behind them, its outermost calls).
PyObject* thread_of(PyObject* ident, PyObject* innermost) {
  PyObject* const inner = PyList_New(0);
  PyObject* const outer = PyList_New(0);
  auto* frame = reinterpret_cast<PyFrameObject*>(innermost);
  const Py_ssize_t depth = depth_of(frame);
  const Py_ssize_t left_out = std::max<Py_ssize_t>(0, depth - kInnermost - kOutermost);
  Py_INCREF(frame);
  bool good = inner != nullptr && outer != nullptr;
  for (Py_ssize_t at = 0; good && frame != nullptr; ++at, frame = caller_of(frame)) {
    if (at < kInnermost)
      good = append(inner, call_of(frame));
    else if (at >= kInnermost + left_out)
      good = append(outer, call_of(frame));
  }
  PyObject* const thread = good ? Py_BuildValue("(OOnO)", ident, inner, left_out, outer) : nullptr;
  Py_XDECREF(frame);
  Py_XDECREF(outer);
  Py_XDECREF(inner);
  return thread;
}

// Where all threads are. No bytecode runs and nothing is collected meanwhile, so that no thread
// moves: frames that are held for longer than their calls would leave it to this thread to destroy
// what was in them.
PyObject* threads_now() {
  const int collects = PyGC_Disable();
  PyObject* const current = PySys_GetObject("_current_frames");  // borrowed
  PyObject* const frames = current ? PyObject_CallNoArgs(current) : nullptr;
  PyObject* threads = PyList_New(0);
  PyObject *ident = nullptr, *frame = nullptr;
  Py_ssize_t at = 0;
  while (threads && frames && PyDict_Next(frames, &at, &ident, &frame))
    if (!append(threads, thread_of(ident, frame)))
      Py_CLEAR(threads);
  Py_XDECREF(frames);
  if (collects != 0)
    PyGC_Enable();
  return threads;
}

}  // namespace

// On a thread of Farandole's, the only one that touches Python: it may wait for the interpreter for
// as long as that takes, since nobody waits for it but shutdown(), which gives the interpreter
// away. Before 3.14 CPython ends a thread by pthread_exit where it takes the GIL of an interpreter
// that has gone meanwhile, here or within a call: what unwinds the stack then finds nothing to be
// destroyed in this function, since that would touch Python.
size_t stacks_of(void* user, char* text, size_t capacity) {
  Callbacks* const callbacks = static_cast<Callbacks*>(user);
  callbacks->telling.fetch_add(1);
  const PyGILState_STATE state = PyGILState_Ensure();
  PyObject* const threads = threads_now();
  PyObject* const told = threads ? PyObject_CallOneArg(callbacks->stacks.ptr(), threads) : nullptr;
  Py_ssize_t size = 0;
  const char* const bytes = told ? PyUnicode_AsUTF8AndSize(told, &size) : nullptr;
  const size_t written = bytes ? std::min(static_cast<size_t>(size), capacity) : 0;
  std::copy_n(bytes, written, text);
  Py_XDECREF(told);
  Py_XDECREF(threads);
  PyErr_Clear();
  callbacks->telling.fetch_sub(1);
  PyGILState_Release(state);
  return written;
}

void CallbacksEnd::operator()(Callbacks* callbacks) const noexcept {
  if (callbacks->telling.load() == 0)
    delete callbacks;
}

}  // namespace farandole::python

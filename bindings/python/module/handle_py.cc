#include "bindings/python/module/handle_py.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "bindings/python/module/errors_py.h"
#include "bindings/python/module/result_py.h"
#include "bindings/python/module/without_gil.h"

namespace py = pybind11;

namespace farandole::python {
namespace {

using SteadyClock = std::chrono::steady_clock;

// A signal handler of Python runs only when the main thread asks, and a futex wait is not ended by
// the signal where another thread received it. The C wait returns at once when the operation
// settles; this is only how soon Ctrl-C is seen by a main thread that waits longer than that.
constexpr double kSignalSlice = 0.1;
constexpr double kForever = -1;

bool on_main_thread() {
  const py::object main = py::module_::import("threading").attr("main_thread")();
  return main.attr("ident").cast<unsigned long>() == PyThread_get_thread_ident();
}

double left_of(std::optional<double> timeout, SteadyClock::time_point start) {
  if (!timeout)
    return kForever;
  const std::chrono::duration<double> spent = SteadyClock::now() - start;
  return std::max(0.0, *timeout - spent.count());
}

fdl_code wait_without_gil(fdl_handle* handle, double seconds) {
  const WithoutGil unlocked;
  return fdl_wait(handle, seconds);
}

}  // namespace

PyHandle::~PyHandle() {
  if (!loan_.operation->settled())
    session_->adopt(std::move(loan_));
}

std::string PyHandle::description() const {
  return name_.empty() ? kind_ : kind_ + " \"" + name_ + "\"";
}

bool PyHandle::done() const {
  int settled = 0;
  check(fdl_poll(loan_.operation->get(), &settled), session_->get());
  return settled != 0;
}

bool PyHandle::wait(std::optional<double> timeout) {
  if (timeout && (std::isnan(*timeout) || *timeout < 0))
    raise_invalid("timeout must be a number of seconds, 0 or more");
  const std::shared_ptr<Operation> operation = loan_.operation;
  const SteadyClock::time_point start = SteadyClock::now();
  // The first slice costs nothing extra; who waits longer can afford to ask where it runs.
  const double first = timeout ? std::min(*timeout, kSignalSlice) : kSignalSlice;
  fdl_code code = wait_without_gil(operation->get(), first);
  const bool main = code == FDL_PENDING && on_main_thread();
  while (code == FDL_PENDING) {
    if (PyErr_CheckSignals() != 0)
      throw py::error_already_set();
    const double left = left_of(timeout, start);
    if (left == 0)
      return false;
    const bool sliced = main && (left < 0 || left > kSignalSlice);
    code = wait_without_gil(operation->get(), sliced ? kSignalSlice : left);
  }
  if (!operation->settled())
    raise(code, session_->get());  // the wait itself was wrong; the operation goes on
  settled();
  check(code, session_->get());
  return true;
}

void PyHandle::settled() {
  loan_.input = py::none();
  session_->release_settled();
}

fdl_result PyHandle::result() const {
  fdl_result result = FDL_RESULT_INIT;
  const fdl_code code = fdl_get_result(loan_.operation->get(), &result);
  if (code == FDL_PENDING)
    raise_invalid("the operation has not settled yet; wait for it first");
  check(code, session_->get());
  return result;
}

py::object PyHandle::numpy() const {
  return numpy_of(result(), loan_.operation);
}

py::capsule PyHandle::dlpack() const {
  return dlpack_of(result(), loan_.operation);
}

py::bytes PyHandle::tobytes() const {
  const fdl_result found = result();
  return {static_cast<const char*>(found.data), found.bytes};
}

py::tuple PyHandle::shape() const {
  const fdl_result found = result();
  py::tuple shape(found.ndim);
  for (size_t i = 0; i < found.ndim; ++i) shape[i] = found.shape[i];
  return shape;
}

py::object PyHandle::splits() const {
  const fdl_result found = result();
  if (!found.splits)
    return py::none();
  py::list splits;
  for (size_t i = 0; i < found.split_count; ++i) splits.append(found.splits[i]);
  return splits;
}

const char* PyHandle::dtype() const {
  return dtype_name(result().dtype);
}

void register_handle(py::module_& module) {
  py::class_<PyHandle>(module, "Handle", "One submitted operation.")
      .def_property_readonly(
          "description", &PyHandle::description, "Kind and name, as errors write them.")
      .def("done", &PyHandle::done, "Whether it has settled, well or not.")
      .def(
          "wait",
          &PyHandle::wait,
          py::arg("timeout") = py::none(),
          "Waits until it has settled and raises how it failed; False after `timeout` seconds.")
      .def("numpy", &PyHandle::numpy, "The result as an array without a copy; bfloat16 as uint16.")
      .def("dlpack", &PyHandle::dlpack, "The result as a DLPack capsule without a copy.")
      .def("tobytes", &PyHandle::tobytes, "A copy of the result's memory.")
      .def_property_readonly("shape", &PyHandle::shape)
      .def_property_readonly(
          "splits", &PyHandle::splits, "alltoall, gather: rows received per rank.")
      .def_property_readonly("dtype", &PyHandle::dtype)
      .def_property_readonly(
          "value",
          &PyHandle::value,
          "join: the last rank; add_process_set: the new number; scatter: the note.");
}

}  // namespace farandole::python

#include "bindings/python/module/errors_py.h"

#include <array>

namespace py = pybind11;

namespace farandole::python {
namespace {

constexpr size_t kMaxHostBytes = 256;

[[noreturn]] void raise_object(const py::object& error) {
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
  throw py::error_already_set();
}

[[noreturn]] void raise(fdl_code code, const std::string& text, int rank, const std::string& host) {
  raise_object(py::module_::import("farandole.errors")
                   .attr("from_code")(static_cast<int>(code), text, rank, host));
}

}  // namespace

void raise(fdl_code code, const fdl_session* session) {
  const std::string text = fdl_last_error();
  const int rank = fdl_last_error_rank();
  std::array<char, kMaxHostBytes> host{};
  if (session && rank >= 0)
    static_cast<void>(fdl_host_of(session, rank, host.data(), host.size()));
  raise(code, text, rank, host.data());
}

void raise_invalid(const std::string& text) {
  raise(FDL_INVALID_ARGUMENT, text, -1, "");
}

void raise_unsupported(const std::string& text) {
  raise(FDL_UNSUPPORTED, text, -1, "");
}

void raise_named(const py::error_already_set& error, const char* kind, const std::string& name) {
  raise_object(
      py::module_::import("farandole.errors").attr("named_error")(kind, name, error.value()));
}

}  // namespace farandole::python

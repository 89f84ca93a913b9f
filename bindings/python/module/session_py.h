#pragma once
// _native.Session: one rank's membership in one job as Python sees it.

#include <pybind11/pybind11.h>

namespace farandole::python {

void register_session(pybind11::module_& module);

}  // namespace farandole::python

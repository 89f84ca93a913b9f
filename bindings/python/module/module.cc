// _native: the C interface for the package farandole. One file per topic.

#include <farandole/farandole.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <string>

#include "bindings/python/module/errors_py.h"
#include "bindings/python/module/handle_py.h"
#include "bindings/python/module/session_py.h"
#include "core/base/hardened.h"

namespace py = pybind11;

namespace {

std::vector<py::dict> config_rows() {
  std::vector<py::dict> rows;
  for (size_t i = 0; i < fdl_config_count(); ++i) {
    fdl_config_row row = {sizeof(fdl_config_row), nullptr, nullptr, nullptr, nullptr, nullptr};
    farandole::python::check(fdl_config(i, &row));
    py::dict made;
    made["key"] = row.key;
    made["variable"] = row.variable;
    made["default"] = row.fallback;
    made["accepts"] = row.accepts;
    made["text"] = row.text;
    rows.push_back(std::move(made));
  }
  return rows;
}

}  // namespace

PYBIND11_MODULE(_native, module) {
  module.doc() = "The C interface of Farandole.";
  module.attr("__version__") = fdl_version();
  module.def("build_info", &fdl_build_info);
  module.def("config_rows", &config_rows, "The settings: key, variable, default, accepts, text.");
  module.attr("ALLREDUCE") = static_cast<int>(FDL_ALLREDUCE);
  module.attr("ALLGATHER") = static_cast<int>(FDL_ALLGATHER);
  module.attr("BROADCAST") = static_cast<int>(FDL_BROADCAST);
  module.attr("REDUCESCATTER") = static_cast<int>(FDL_REDUCESCATTER);
  module.attr("ALLTOALL") = static_cast<int>(FDL_ALLTOALL);
  module.attr("BARRIER") = static_cast<int>(FDL_BARRIER);
  module.attr("REDUCE") = static_cast<int>(FDL_REDUCE);
  module.attr("GATHER") = static_cast<int>(FDL_GATHER);
  module.attr("SCATTER") = static_cast<int>(FDL_SCATTER);
  module.attr("MESSAGE") = static_cast<int>(FDL_MESSAGE);
  module.attr("SUM") = static_cast<int>(FDL_SUM);
  module.attr("AVERAGE") = static_cast<int>(FDL_AVERAGE);
  module.attr("MIN") = static_cast<int>(FDL_MIN);
  module.attr("MAX") = static_cast<int>(FDL_MAX);
  module.attr("PRODUCT") = static_cast<int>(FDL_PRODUCT);
  module.attr("ADASUM") = static_cast<int>(FDL_ADASUM);
  farandole::python::register_session(module);
  farandole::python::register_handle(module);
}

#pragma once
// Prepared: a request of Python's, with all that it points to.

#include <cstdint>
#include <string>
#include <vector>

#include "bindings/python/module/tensor_py.h"

namespace farandole::python {

// Thread: under the GIL.
struct Prepared {
  fdl_request request = FDL_REQUEST_INIT;
  TensorView input, output;
  std::string name;
  std::vector<int64_t> splits;

  // Requires: name, kind and ends are set. Fails: InvalidArgument for an output that is not for
  // the input's result, and as TensorReader does, naming the operation.
  void read(TensorReader& reader, const pybind11::object& from, const pybind11::object& to);
  // Until it is submitted it stays where it is.
  void link();
  // Kind and name, as errors write them.
  const char* kind() const;
  std::string full_name() const;

 private:
  void read_both(TensorReader& reader, const pybind11::object& from, const pybind11::object& to);
};

}  // namespace farandole::python

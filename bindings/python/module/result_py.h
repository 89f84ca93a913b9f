#pragma once
// Results as arrays of Python, without a copy. The memory lives as long as the array: each shares
// the operation.

#include <farandole/farandole.h>
#include <pybind11/pybind11.h>

#include <memory>

#include "bindings/python/module/operation.h"

namespace farandole::python {

// bfloat16, which NumPy does not know, comes as uint16.
pybind11::object numpy_of(const fdl_result& result, std::shared_ptr<Operation> operation);
pybind11::capsule dlpack_of(const fdl_result& result, std::shared_ptr<Operation> operation);

}  // namespace farandole::python

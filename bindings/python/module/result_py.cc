#include "bindings/python/module/result_py.h"

#include <pybind11/numpy.h>

#include <array>

#include "bindings/python/module/dlpack.h"

namespace py = pybind11;

namespace farandole::python {
namespace {

struct Row {
  const char* numpy;  // typestr
  uint8_t code;
  uint8_t bits;
};
constexpr std::array<Row, 13> kRows{{
    {"u1", kDLUInt, 8},
    {"i1", kDLInt, 8},
    {"u2", kDLUInt, 16},
    {"i2", kDLInt, 16},
    {"i4", kDLInt, 32},
    {"i8", kDLInt, 64},
    {"f2", kDLFloat, 16},
    {"u2", kDLBfloat, 16},
    {"f4", kDLFloat, 32},
    {"f8", kDLFloat, 64},
    {"?", kDLBool, 8},
    {"c8", kDLComplex, 64},
    {"c16", kDLComplex, 128},
}};

// A DLPack tensor and all that it points to.
struct Exported {
  std::shared_ptr<Operation> operation;
  std::vector<int64_t> shape;
  DLManagedTensor managed{};
};

// From any thread, with or without the GIL: an Exported holds no Python object.
void free_exported(DLManagedTensor* managed) {
  delete static_cast<Exported*>(managed->manager_ctx);
}

void free_unconsumed(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, "dltensor"))
    return;  // renamed by its consumer, who frees it
  auto* managed = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule, "dltensor"));
  managed->deleter(managed);
}

void free_operation(void* operation) {
  delete static_cast<std::shared_ptr<Operation>*>(operation);
}

}  // namespace

py::object numpy_of(const fdl_result& result, std::shared_ptr<Operation> operation) {
  const py::dtype dtype(std::string(kRows.at(result.dtype).numpy));
  const std::vector<py::ssize_t> shape(result.shape, result.shape + result.ndim);
  if (result.bytes == 0)
    return py::array(dtype, shape);
  const py::capsule owner(new std::shared_ptr<Operation>(std::move(operation)), &free_operation);
  return py::array(dtype, shape, result.data, owner);
}

py::capsule dlpack_of(const fdl_result& result, std::shared_ptr<Operation> operation) {
  const Row& row = kRows.at(result.dtype);
  auto exported = std::make_unique<Exported>();
  exported->operation = std::move(operation);
  exported->shape.assign(result.shape, result.shape + result.ndim);
  DLManagedTensor& managed = exported->managed;
  managed.dl_tensor = {
      result.data,
      {kDLCpu, 0},
      static_cast<int32_t>(result.ndim),
      {row.code, row.bits, 1},
      exported->shape.data(),
      nullptr,
      0};
  managed.manager_ctx = exported.get();
  managed.deleter = &free_exported;
  PyObject* capsule = PyCapsule_New(&managed, "dltensor", &free_unconsumed);
  if (!capsule)
    throw py::error_already_set();
  static_cast<void>(exported.release());
  return py::reinterpret_steal<py::capsule>(capsule);
}

}  // namespace farandole::python

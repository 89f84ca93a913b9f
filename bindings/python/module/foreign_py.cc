// The general ways to read a tensor: DLPack and the buffer protocol.

#include <array>
#include <memory>

#include "bindings/python/module/dlpack.h"
#include "bindings/python/module/errors_py.h"
#include "bindings/python/module/tensor_py.h"

namespace py = pybind11;

namespace farandole::python {
namespace {

constexpr const char* kFresh = "dltensor";
constexpr const char* kUsed = "used_dltensor";

fdl_dtype dtype_of(DLDataType type) {
  struct Row {
    uint8_t code;
    uint8_t bits;
    fdl_dtype dtype;
  };
  static constexpr std::array<Row, 13> kRows{{
      {kDLUInt, 8, FDL_UINT8},
      {kDLInt, 8, FDL_INT8},
      {kDLUInt, 16, FDL_UINT16},
      {kDLInt, 16, FDL_INT16},
      {kDLInt, 32, FDL_INT32},
      {kDLInt, 64, FDL_INT64},
      {kDLFloat, 16, FDL_FLOAT16},
      {kDLBfloat, 16, FDL_BFLOAT16},
      {kDLFloat, 32, FDL_FLOAT32},
      {kDLFloat, 64, FDL_FLOAT64},
      {kDLBool, 8, FDL_BOOL},
      {kDLComplex, 64, FDL_COMPLEX64},
      {kDLComplex, 128, FDL_COMPLEX128},
  }};
  for (const Row& row : kRows) {
    if (type.lanes == 1 && row.code == type.code && row.bits == type.bits)
      return row.dtype;
  }
  raise_invalid(
      "DLPack dtype (code " + std::to_string(type.code) + ", " + std::to_string(type.bits) +
      " bits" + (type.lanes == 1 ? "" : ", " + std::to_string(type.lanes) + " lanes") +
      ") is not supported; " + supported_dtypes() + " are");
}

bool contiguous(const DLTensor& tensor) {
  int64_t expected = 1;
  for (int32_t i = tensor.ndim - 1; tensor.strides && i >= 0; --i) {
    if (tensor.shape[i] == 0)
      return true;
    if (tensor.shape[i] != 1 && tensor.strides[i] != expected)
      return false;
    expected *= tensor.shape[i];
  }
  return true;
}

void release_dlpack(PyObject* capsule) {
  auto* managed = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule, kUsed));
  if (managed && managed->deleter)
    managed->deleter(managed);
}

// Takes the tensor over from its capsule, which then counts as consumed.
py::object consume(const py::object& capsule) {
  if (!PyCapsule_IsValid(capsule.ptr(), kFresh))
    raise_invalid(
        "__dlpack__() gave no \"dltensor\" capsule that is unused; "
        "pass the tensor itself, or a new capsule");
  void* managed = PyCapsule_GetPointer(capsule.ptr(), kFresh);
  PyCapsule_SetName(capsule.ptr(), kUsed);
  PyCapsule_SetDestructor(capsule.ptr(), nullptr);
  PyObject* owner = PyCapsule_New(managed, kUsed, &release_dlpack);
  if (!owner)
    throw py::error_already_set();
  return py::reinterpret_steal<py::object>(owner);
}

struct BufferRelease {
  void operator()(Py_buffer* buffer) const {
    PyBuffer_Release(buffer);
    delete buffer;
  }
};
using Buffer = std::unique_ptr<Py_buffer, BufferRelease>;

Buffer acquire(py::handle object, Access access) {
  auto buffer = std::make_unique<Py_buffer>();
  const int flags =
      PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (access == Access::Write ? PyBUF_WRITABLE : 0);
  if (PyObject_GetBuffer(object.ptr(), buffer.get(), flags) == 0)
    return Buffer(buffer.release());
  const py::error_already_set refusal;
  raise_invalid(
      std::string("the buffer cannot be ") + (access == Access::Write ? "written" : "read") + ": " +
      refusal.what());
}

// struct module's format of one element: "<f", "Zd", "?".
fdl_dtype dtype_of(const Py_buffer& buffer) {
  std::string format = buffer.format ? buffer.format : "B";
  if (!format.empty() && std::string("@=<").find(format[0]) != std::string::npos)
    format.erase(0, 1);
  std::string name;
  const std::string bits = std::to_string(buffer.itemsize * 8);
  if (format == "?")
    name = "bool";
  else if (format == "c")
    name = "uint8";
  else if (format == "Zf" || format == "Zd")
    name = "complex" + bits;
  else if (format.size() == 1 && std::string("efd").find(format) != std::string::npos)
    name = "float" + bits;
  else if (format.size() == 1 && std::string("bhilq").find(format) != std::string::npos)
    name = "int" + bits;
  else if (format.size() == 1 && std::string("BHILQ").find(format) != std::string::npos)
    name = "uint" + bits;
  fdl_dtype dtype = FDL_UINT8;
  if (!dtype_from_name(name, dtype))
    raise_invalid(
        "buffer format \"" + format + "\" (" + bits + " bits) is not supported; " +
        supported_dtypes() + " in this machine's byte order are");
  return dtype;
}

void release_buffer(void* buffer) {
  BufferRelease()(static_cast<Py_buffer*>(buffer));
}

}  // namespace

TensorView read_dlpack(py::handle object, Access access) {
  if (access == Access::Write)
    raise_invalid(
        std::string("a ") + Py_TYPE(object.ptr())->tp_name +
        " cannot be written through DLPack; use the form that returns its result");
  const py::object owner = consume(object.attr("__dlpack__")());
  const DLTensor& tensor =
      static_cast<DLManagedTensor*>(PyCapsule_GetPointer(owner.ptr(), kUsed))->dl_tensor;
  if (tensor.device.device_type != kDLCpu && tensor.device.device_type != kDLCuda)
    raise_unsupported(
        "nothing here communicates memory of DLPack device type " +
        std::to_string(tensor.device.device_type) + "; move the tensor to the CPU");
  if (!contiguous(tensor))
    raise_invalid("the tensor is not contiguous; make a contiguous copy first");
  TensorView view;
  view.dtype = dtype_of(tensor.dtype);
  view.data = static_cast<char*>(tensor.data) + tensor.byte_offset;
  view.device_type = tensor.device.device_type == kDLCpu ? FDL_CPU : FDL_CUDA;
  view.device_index = view.device_type == FDL_CPU ? 0 : tensor.device.device_id;
  view.shape.assign(tensor.shape, tensor.shape + tensor.ndim);
  view.keep = owner;
  return view;
}

TensorView read_buffer(py::handle object, Access access) {
  Buffer buffer = acquire(object, access);
  TensorView view;
  view.dtype = dtype_of(*buffer);
  view.data = buffer->buf;
  view.shape.assign(buffer->shape, buffer->shape + buffer->ndim);
  view.keep = py::capsule(buffer.get(), &release_buffer);
  static_cast<void>(buffer.release());
  return view;
}

}  // namespace farandole::python

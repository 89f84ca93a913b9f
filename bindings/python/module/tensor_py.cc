#include "bindings/python/module/tensor_py.h"

#include <pybind11/numpy.h>

#include <array>
#include <cstring>

#include "bindings/python/module/errors_py.h"

namespace py = pybind11;

namespace farandole::python {
namespace {

// Frameworks have some dozens of dtypes and tensor types; a program that makes new ones without
// end only loses the cache.
constexpr size_t kMaxCached = 256;

constexpr std::array<const char*, 13> kDTypeNames{
    "uint8",
    "int8",
    "uint16",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "bool",
    "complex64",
    "complex128"};
static_assert(kDTypeNames.size() == FDL_COMPLEX128 + 1);

std::string type_name(py::handle object) {
  return Py_TYPE(object.ptr())->tp_name;
}

// Numbers and lists, of which an array can be made.
bool is_plain(py::handle object) {
  return PyFloat_Check(object.ptr()) || PyLong_Check(object.ptr()) ||
         PyComplex_Check(object.ptr()) || PyList_Check(object.ptr()) || PyTuple_Check(object.ptr());
}

py::str interned(const char* text) {
  return py::reinterpret_steal<py::str>(PyUnicode_InternFromString(text));
}

py::object get(py::handle object, const py::str& name) {
  PyObject* value = PyObject_GetAttr(object.ptr(), name.ptr());
  if (!value)
    throw py::error_already_set();
  return py::reinterpret_steal<py::object>(value);
}

py::object call(py::handle object, const py::str& method) {
  PyObject* value = PyObject_CallMethodNoArgs(object.ptr(), method.ptr());
  if (!value)
    throw py::error_already_set();
  return py::reinterpret_steal<py::object>(value);
}

std::vector<int64_t> shape_of(const py::object& shape) {
  if (!PyTuple_Check(shape.ptr()))
    raise_invalid("the tensor's shape is a " + type_name(shape) + ", not a tuple");
  std::vector<int64_t> extents(static_cast<size_t>(PyTuple_GET_SIZE(shape.ptr())));
  for (size_t i = 0; i < extents.size(); ++i) {
    extents[i] = PyLong_AsLongLong(PyTuple_GET_ITEM(shape.ptr(), static_cast<Py_ssize_t>(i)));
    if (extents[i] == -1 && PyErr_Occurred())
      throw py::error_already_set();
  }
  return extents;
}

void read_device(
    const py::object& device, const py::str& type, const py::str& index, TensorView& view) {
  const py::object kind = get(device, type);
  const char* name = PyUnicode_AsUTF8(kind.ptr());
  if (!name)
    throw py::error_already_set();
  if (std::strcmp(name, "cpu") == 0)
    return;
  if (std::strcmp(name, "cuda") != 0)
    raise_unsupported(
        std::string("nothing here communicates memory of device \"") + name +
        "\"; move the tensor to the CPU");
  const py::object number = get(device, index);
  view.device_type = FDL_CUDA;
  view.device_index = number.is_none() ? 0 : number.cast<int>();
}

}  // namespace

bool dtype_from_name(const std::string& name, fdl_dtype& dtype) {
  for (size_t i = 0; i < kDTypeNames.size(); ++i) {
    if (name == kDTypeNames.at(i)) {
      dtype = static_cast<fdl_dtype>(i);
      return true;
    }
  }
  return false;
}

std::string supported_dtypes() {
  std::string text = kDTypeNames.front();
  for (size_t i = 1; i + 1 < kDTypeNames.size(); ++i) text += std::string(", ") + kDTypeNames.at(i);
  return text + " and " + kDTypeNames.back();
}

const char* dtype_name(fdl_dtype dtype) {
  return kDTypeNames.at(static_cast<size_t>(dtype));
}

TensorReader::TensorReader()
    : data_ptr_(interned("data_ptr")),
      dtype_(interned("dtype")),
      device_(interned("device")),
      layout_(interned("layout")),
      type_(interned("type")),
      index_(interned("index")),
      shape_(interned("shape")),
      is_contiguous_(interned("is_contiguous")) {}

void TensorReader::keep(py::handle key) {
  if (kept_.size() >= kMaxCached) {
    ways_.clear();
    dtypes_.clear();
    strided_ = nullptr;
    kept_.clear();
  }
  kept_.push_back(py::reinterpret_borrow<py::object>(key));
}

TensorReader::Way TensorReader::way_of(py::handle object) {
  auto* type = reinterpret_cast<PyObject*>(Py_TYPE(object.ptr()));
  const auto known = ways_.find(type);
  if (known != ways_.end())
    return known->second;
  Way way = Way::None;
  const bool numpy_loaded = py::module_::import("sys").attr("modules").contains("numpy");
  if (numpy_loaded && py::isinstance<py::array>(object))
    way = Way::Numpy;
  else if (py::hasattr(object, "data_ptr") && py::hasattr(object, "is_contiguous"))
    way = Way::Duck;
  else if (py::hasattr(object, "__dlpack__"))
    way = Way::Dlpack;
  else if (PyObject_CheckBuffer(object.ptr()))
    way = Way::Buffer;
  keep(type);
  ways_.emplace(type, way);
  return way;
}

TensorView TensorReader::read(py::handle object, Access access) {
  switch (way_of(object)) {
    case Way::Numpy:
      return read_numpy(object, access);
    case Way::Duck:
      return read_duck(object);
    case Way::Dlpack:
      return read_dlpack(object, access);
    case Way::Buffer:
      return read_buffer(object, access);
    case Way::None:
      break;
  }
  raise_invalid(
      "a " + type_name(object) +
      " is no tensor; NumPy arrays, torch tensors and objects with __dlpack__ or the buffer "
      "protocol are" +
      (is_plain(object) ? "; numpy.array() makes one" : ""));
}

fdl_dtype TensorReader::dtype_of(py::handle dtype, bool numpy) {
  const auto known = dtypes_.find(dtype.ptr());
  if (known != dtypes_.end())
    return known->second;
  const bool native = !numpy || dtype.attr("isnative").cast<bool>();
  // "torch.float32" and NumPy's "float32" alike.
  std::string name =
      numpy ? dtype.attr("name").cast<std::string>() : py::str(dtype).cast<std::string>();
  name.erase(0, name.rfind('.') + 1);
  fdl_dtype found = FDL_FLOAT32;
  if (!native)
    raise_invalid("dtype " + name + " is not in the machine's byte order; convert it first");
  if (!dtype_from_name(name, found))
    raise_invalid("dtype " + name + " is not supported; " + supported_dtypes() + " are");
  keep(dtype);
  dtypes_.emplace(dtype.ptr(), found);
  return found;
}

TensorView TensorReader::read_numpy(py::handle object, Access access) {
  const auto* array = py::detail::array_proxy(object.ptr());
  if (!(array->flags & py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_) ||
      !(array->flags & py::detail::npy_api::NPY_ARRAY_ALIGNED_))
    raise_invalid("the array is not contiguous and aligned; pass numpy.ascontiguousarray(array)");
  if (access == Access::Write && !(array->flags & py::detail::npy_api::NPY_ARRAY_WRITEABLE_))
    raise_invalid(
        "the array is read-only, but the result goes into it; pass a copy, or use the form that "
        "returns a new one");
  TensorView view;
  view.dtype = dtype_of(array->descr, true);
  view.data = array->data;
  view.shape.assign(array->dimensions, array->dimensions + array->nd);
  view.keep = py::reinterpret_borrow<py::object>(object);
  return view;
}

void TensorReader::check_layout(py::handle object) {
  PyObject* layout = PyObject_GetAttr(object.ptr(), layout_.ptr());
  if (!layout) {
    PyErr_Clear();  // a framework that knows one layout only
    return;
  }
  const py::object owned = py::reinterpret_steal<py::object>(layout);
  if (layout == strided_)
    return;
  const std::string name = py::str(owned);
  if (name != "torch.strided")
    raise_invalid("a tensor of layout " + name + " cannot be communicated; make it dense first");
  keep(owned);
  strided_ = layout;
}

TensorView TensorReader::read_duck(py::handle object) {
  TensorView view;
  check_layout(object);
  view.dtype = dtype_of(get(object, dtype_), false);
  read_device(get(object, device_), type_, index_, view);
  if (!call(object, is_contiguous_).cast<bool>())
    raise_invalid("the tensor is not contiguous; pass tensor.contiguous()");
  view.data = PyLong_AsVoidPtr(call(object, data_ptr_).ptr());
  if (!view.data && PyErr_Occurred())
    throw py::error_already_set();
  view.shape = shape_of(get(object, shape_));
  view.keep = py::reinterpret_borrow<py::object>(object);
  return view;
}

}  // namespace farandole::python

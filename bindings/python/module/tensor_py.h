#pragma once
// Tensors of Python, whatever made them, as pointer, dtype, shape and device.

#include <farandole/farandole.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace farandole::python {

// Borrowed contiguous memory, kept alive by `keep`.
struct TensorView {
  void* data = nullptr;
  fdl_dtype dtype = FDL_FLOAT32;
  fdl_device_type device_type = FDL_CPU;
  int device_index = 0;
  std::vector<int64_t> shape;
  pybind11::object keep;
};

enum class Access { Read, Write };

// Reads tensors by the first of these ways that their type offers, remembered per type:
//   NumPy arrays · torch-like objects (data_ptr, dtype, device, is_contiguous) · __dlpack__ ·
//   the buffer protocol.
// No framework is imported. Fails: InvalidArgument for what is no tensor, is not contiguous,
// aligned, of native byte order or writable where that is needed; Unsupported for other devices.
// Thread: under the GIL.
class TensorReader {
 public:
  TensorReader();
  TensorView read(pybind11::handle object, Access access);

 private:
  enum class Way { Numpy, Duck, Dlpack, Buffer, None };

  Way way_of(pybind11::handle object);
  // dtype of a framework's dtype object; asks for its name once.
  fdl_dtype dtype_of(pybind11::handle dtype, bool numpy);
  void check_layout(pybind11::handle object);
  TensorView read_numpy(pybind11::handle object, Access access);
  TensorView read_duck(pybind11::handle object);

  // Keeps a type, dtype or layout alive that becomes a key here.
  void keep(pybind11::handle key);

  std::unordered_map<PyObject*, Way> ways_;
  std::unordered_map<PyObject*, fdl_dtype> dtypes_;
  std::vector<pybind11::object> kept_;
  PyObject* strided_ = nullptr;  // the framework's "strided" layout, once seen
  pybind11::str data_ptr_, dtype_, device_, layout_, type_, index_, shape_, is_contiguous_;
};

// "float32" -> FDL_FLOAT32. False where there is no such dtype here.
bool dtype_from_name(const std::string& name, fdl_dtype& dtype);
const char* dtype_name(fdl_dtype dtype);
// All of them as a sentence lists them.
std::string supported_dtypes();

TensorView read_dlpack(pybind11::handle object, Access access);
TensorView read_buffer(pybind11::handle object, Access access);

}  // namespace farandole::python

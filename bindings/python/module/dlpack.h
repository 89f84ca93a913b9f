#pragma once
// The structs of DLPack's stable ABI (dmlc/dlpack, version 0.x: the unversioned capsule "dltensor",
// which every framework reads and writes).

#include <cstdint>

extern "C" {

struct DLDevice {
  int32_t device_type;
  int32_t device_id;
};

struct DLDataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};

struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements; null: contiguous
  uint64_t byte_offset;
};

struct DLManagedTensor {
  DLTensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(DLManagedTensor* self);
};

}  // extern "C"

namespace farandole::python {

inline constexpr int32_t kDLCpu = 1;
inline constexpr int32_t kDLCuda = 2;

inline constexpr uint8_t kDLInt = 0;
inline constexpr uint8_t kDLUInt = 1;
inline constexpr uint8_t kDLFloat = 2;
inline constexpr uint8_t kDLBfloat = 4;
inline constexpr uint8_t kDLComplex = 5;
inline constexpr uint8_t kDLBool = 6;

}  // namespace farandole::python

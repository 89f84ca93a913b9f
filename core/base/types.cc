#include "core/base/types.h"

#include <array>

namespace farandole {
namespace {

struct DTypeRow {
  size_t size;
  const char* name;
};
constexpr std::array<DTypeRow, kDTypeCount> kDTypes{
    {{1, "uint8"},
     {1, "int8"},
     {2, "uint16"},
     {2, "int16"},
     {4, "int32"},
     {8, "int64"},
     {2, "float16"},
     {2, "bfloat16"},
     {4, "float32"},
     {8, "float64"},
     {1, "bool"},
     {8, "complex64"},
     {16, "complex128"}}};
constexpr std::array<const char*, kKindCount> kKinds{
    "allreduce",
    "allgather",
    "broadcast",
    "reducescatter",
    "alltoall",
    "barrier",
    "reduce",
    "gather",
    "scatter",
    "message",
    "join",
    "add_process_set",
    "remove_process_set"};
constexpr std::array<const char*, kReduceOpCount> kReduceOps{
    "Sum", "Average", "Min", "Max", "Product", "Adasum"};

}  // namespace

size_t size_of(DType dtype) noexcept {
  return kDTypes.at(static_cast<size_t>(dtype)).size;
}
const char* name_of(DType dtype) noexcept {
  return kDTypes.at(static_cast<size_t>(dtype)).name;
}
const char* name_of(CollectiveKind kind) noexcept {
  return kKinds.at(static_cast<size_t>(kind));
}
const char* name_of(ReduceOp op) noexcept {
  return kReduceOps.at(static_cast<size_t>(op));
}
const char* meaningful_ops(DType dtype) noexcept {
  if (dtype == DType::Bool)
    return "Sum, Min, Max and Product";
  return is_complex(dtype) ? "Sum, Average and Product" : "Sum, Average, Min, Max and Product";
}
const char* name_of(DeviceType type) noexcept {
  return type == DeviceType::Cpu ? "cpu" : "cuda";
}

}  // namespace farandole

#include "core/request.h"

#include <functional>
#include <numeric>

namespace farandole {

Signature of_receiver(const Signature& told, bool has_memory) {
  Signature s;
  s.kind = told.kind;
  s.device = told.device;
  s.process_set = told.process_set;
  s.root = told.root;
  if (told.kind != CollectiveKind::Message)
    return s;
  s.operand.assign(told.operand.begin(), told.operand.begin() + 1);
  if (!has_memory)
    return s;
  s.operand.push_back(kHasMemory);
  s.dtype = told.dtype;
  s.shape = told.shape;
  return s;
}

int64_t element_count(const std::vector<int64_t>& shape) noexcept {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

int64_t row_elements(const std::vector<int64_t>& shape) noexcept {
  if (shape.empty())
    return 1;
  return std::accumulate(shape.begin() + 1, shape.end(), int64_t{1}, std::multiplies<>());
}

}  // namespace farandole

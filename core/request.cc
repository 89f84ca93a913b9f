#include "core/request.h"

#include <functional>
#include <numeric>

namespace farandole {

Signature of_receiver(const Signature& scatter) {
  Signature s;
  s.kind = scatter.kind;
  s.device = scatter.device;
  s.process_set = scatter.process_set;
  s.root = scatter.root;
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

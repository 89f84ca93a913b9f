#pragma once
// Names as they come from Python, and shapes as errors write them.

#include <cstdint>
#include <string>
#include <vector>

#include "bindings/python/module/errors_py.h"

namespace farandole::python {

inline std::string checked_name(const std::string& name) {
  if (name.find('\0') != std::string::npos)
    raise_invalid("the name contains a null character");
  return name;
}

inline std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (const int64_t extent : shape) {
    if (text.size() > 1)
      text += ", ";
    text += std::to_string(extent);
  }
  return text += ']';
}

}  // namespace farandole::python

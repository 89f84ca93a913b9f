#pragma once
// Small files that people write: read whole, up to a bound.

#include <functional>
#include <string>

#include "core/base/status.h"

namespace farandole::launch {

inline constexpr size_t kMaxTextFile = 4 << 20;

// Reads a file of text. Fails: System, naming the file; InvalidArgument where it has more than
// kMaxTextFile bytes.
using TextReader = std::function<Result<std::string>(const std::string& path)>;

Result<std::string> read_text_file(const std::string& path);

}  // namespace farandole::launch

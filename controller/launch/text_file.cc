#include "controller/launch/text_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/uninterrupted.h"
#include "core/base/unique_fd.h"

namespace farandole::launch {
namespace {

Status unreadable(const std::string& path) {
  const int why = errno;
  return error(
      Code::System,
      "{} cannot be read: {}",
      printable(path, 256),
      strerror(why));  // NOLINT(concurrency-mt-unsafe): one thread
}

}  // namespace

Result<std::string> read_text_file(const std::string& path) {
  const UniqueFd file(FARANDOLE_FAIL_CALL(
      "text_file.read_text_file.open", open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)));
  if (!file)
    return unreadable(path);
  std::string text;
  std::vector<char> buffer(64 << 10);
  while (true) {
    const ssize_t got = uninterrupted([&] {
      return FARANDOLE_FAIL_CALL(
          "text_file.read_text_file.read", read(file.get(), buffer.data(), buffer.size()));
    });
    if (got < 0)
      return unreadable(path);
    if (got == 0)
      return text;
    text.append(buffer.data(), static_cast<size_t>(got));
    if (text.size() > kMaxTextFile)
      return error(
          Code::InvalidArgument,
          "{} has more than {} bytes; a smaller file is wanted",
          printable(path, 256),
          kMaxTextFile);
  }
}

}  // namespace farandole::launch

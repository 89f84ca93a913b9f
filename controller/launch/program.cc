#include "controller/launch/program.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/format.h"

namespace farandole::launch {
namespace {

constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

// Empty: executable. Otherwise why not.
std::string why_not_executable(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0)
    return strerror(errno);  // NOLINT(concurrency-mt-unsafe): one thread
  if (S_ISDIR(info.st_mode))
    return "it is a folder";
  if (!S_ISREG(info.st_mode))
    return "it is not a file";
  if (access(path.c_str(), X_OK) != 0)
    return "it is not executable (chmod +x would make it so)";
  return "";
}

ProgramSearch not_executable(const std::string& path, const std::string& why) {
  return {"", kNotExecutable, fmt::format("cannot start {}: {}", printable(path, 256), why)};
}

}  // namespace

ProgramSearch find_program(std::string_view name, std::string_view search_path) {
  if (name.empty())
    return {"", kNotFound, "the program's name is empty"};
  if (name.find('/') != std::string_view::npos) {
    const std::string path(name);
    struct stat info {};
    if (stat(path.c_str(), &info) != 0 && (errno == ENOENT || errno == ENOTDIR))
      return {"", kNotFound, fmt::format("program {} was not found", printable(name, 256))};
    const std::string why = why_not_executable(path);
    return why.empty() ? ProgramSearch{path, 0, ""} : not_executable(path, why);
  }
  std::string passed_over;  // found by name, but not executable
  while (true) {
    const size_t colon = search_path.find(':');
    const std::string_view folder = search_path.substr(0, colon);
    std::string path = fmt::format("{}/{}", folder.empty() ? "." : folder, name);
    struct stat info {};
    if (stat(path.c_str(), &info) == 0) {
      if (why_not_executable(path).empty())
        return {std::move(path), 0, ""};
      if (passed_over.empty())
        passed_over = path;
    }
    if (colon == std::string_view::npos)
      break;
    search_path.remove_prefix(colon + 1);
  }
  if (!passed_over.empty())
    return not_executable(passed_over, why_not_executable(passed_over));
  std::string hint;
  if (access(std::string(name).c_str(), F_OK) == 0)
    hint = fmt::format(
        "; there is a file of that name here: did you mean ./{}?", printable(name, 256));
  return {
      "", kNotFound, fmt::format("program {} was not found in PATH{}", printable(name, 256), hint)};
}

}  // namespace farandole::launch

// Runs kept inputs once: `fuzz_replay TARGET FOLDER...`. Needs no fuzzer, therefore part of every
// build. A broken promise ends the process; the line before says by which input.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/target.h"

namespace farandole::fuzz {
namespace {

struct Target {
  std::string_view name;
  void (*run)(Input);
};
constexpr Target kTargets[] = {
    {"command_line", command_line},
    {"config", config},
    {"coordinator", coordinator},
    {"frames", frames},
    {"gloo_link", gloo_link},
    {"handshake", handshake},
    {"launcher_channel", launcher_channel},
    {"messages", messages},
    {"segment", segment},
    {"worker", worker},
};

std::vector<std::filesystem::path> files_in(const char* folder) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::exists(folder))
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<uint8_t> content_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

int replay(const Target& target, std::span<char*> folders) {
  size_t count = 0;
  for (const char* folder : folders)
    for (const auto& file : files_in(folder)) {
      std::printf("%s\n", file.c_str());
      std::fflush(stdout);
      execute(target.run, content_of(file));
      ++count;
    }
  std::printf("%zu inputs of %s hold\n", count, std::string(target.name).c_str());
  return count == 0 ? 1 : 0;
}

}  // namespace
}  // namespace farandole::fuzz

int main(int argc, char** argv) {
  using namespace farandole::fuzz;
  const auto* const target =
      std::find_if(std::begin(kTargets), std::end(kTargets), [&](const Target& each) {
        return argc > 2 && each.name == argv[1];
      });
  if (target == std::end(kTargets)) {
    std::fprintf(stderr, "usage: fuzz_replay TARGET FOLDER...\n");
    return 2;
  }
  return replay(*target, std::span(argv, static_cast<size_t>(argc)).subspan(2));
}

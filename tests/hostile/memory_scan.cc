#include "tests/hostile/memory_scan.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string_view>

#include "core/net/fd_io.h"

namespace farandole::hostile {
namespace {

constexpr size_t kWindow = 4 << 20;
// Beyond it lies the shadow memory of sanitizers alone.
constexpr uint64_t kLargest = uint64_t{4} << 30;

std::string_view text_of(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

size_t count_in(std::string_view hay, std::string_view needle) {
  size_t count = 0;
  for (size_t at = hay.find(needle); at != hay.npos; at = hay.find(needle, at + 1)) ++count;
  return count;
}

struct Mapping {
  uint64_t begin = 0;
  uint64_t end = 0;
  std::string line;
  bool left_out = false;
};

std::vector<Mapping> mappings_of(pid_t pid) {
  std::vector<Mapping> all;
  std::ifstream smaps(fmt::format("/proc/{}/smaps", pid));
  for (std::string line; std::getline(smaps, line);) {
    Mapping next;
    char access[5] = "";
    if (std::sscanf(line.c_str(), "%lx-%lx %4s ", &next.begin, &next.end, access) == 3) {
      next.line = line;
      all.push_back(next);
    } else if (line.starts_with("VmFlags:") && !all.empty()) {
      all.back().left_out = line.find(" dd") != std::string::npos;
    }
  }
  return all;
}

// What cannot be read (guard pages, devices) is passed over.
size_t count_in_mapping(int memory, const Mapping& of, std::string_view needle) {
  size_t count = 0;
  std::string window;
  for (uint64_t at = of.begin; at < of.end;) {
    const size_t kept = std::min(window.size(), needle.size() - 1);
    window.erase(0, window.size() - kept);
    const size_t want = std::min<uint64_t>(kWindow, of.end - at);
    window.resize(kept + want);
    const ssize_t got = pread(memory, window.data() + kept, want, static_cast<off_t>(at));
    if (got <= 0)
      return count;
    window.resize(kept + static_cast<size_t>(got));
    count += count_in(window, needle);
    at += static_cast<uint64_t>(got);
  }
  return count;
}

}  // namespace

Found find_in_memory(pid_t pid, std::span<const uint8_t> needle) {
  const UniqueFd memory(open(fmt::format("/proc/{}/mem", pid).c_str(), O_RDONLY | O_CLOEXEC));
  Found found;
  for (const Mapping& mapping : mappings_of(pid)) {
    if (mapping.end - mapping.begin > kLargest)
      continue;
    const size_t count = count_in_mapping(memory.get(), mapping, text_of(needle));
    (mapping.left_out ? found.left_out : found.dumped) += count;
    if (count > 0 && !mapping.left_out && found.first_dumped.empty())
      found.first_dumped = mapping.line;
  }
  return found;
}

size_t count_in_file(const std::string& path, std::span<const uint8_t> needle) {
  std::ifstream file(path, std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return count_in(all, text_of(needle));
}

std::vector<std::string> spellings(std::span<const uint8_t> bytes) {
  std::string lower, upper;
  for (const uint8_t byte : bytes) {
    lower += fmt::format("{:02x}", byte);
    upper += fmt::format("{:02X}", byte);
  }
  std::string base64(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  EVP_EncodeBlock(
      reinterpret_cast<uint8_t*>(base64.data()), bytes.data(), static_cast<int>(bytes.size()));
  // The last characters depend on what follows.
  base64.resize(bytes.size() / 3 * 4);
  return {std::string(text_of(bytes)), lower, upper, base64};
}

}  // namespace farandole::hostile

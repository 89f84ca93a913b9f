#pragma once
// Looks for bytes in the memory of another process of this user, as a debugger could.

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace farandole::hostile {

struct Found {
  size_t dumped = 0;         // places that a core dump would hold
  size_t left_out = 0;       // places on pages that it leaves out
  std::string first_dumped;  // the mapping, as the kernel names it
};

// Every readable mapping of `pid`.
Found find_in_memory(pid_t pid, std::span<const uint8_t> needle);
size_t count_in_file(const std::string& path, std::span<const uint8_t> needle);

// The ways in which 32 bytes may be written down: as they are, hexadecimal, base64.
std::vector<std::string> spellings(std::span<const uint8_t> bytes);

}  // namespace farandole::hostile

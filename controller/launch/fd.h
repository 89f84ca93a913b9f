#pragma once
// File descriptors that close themselves, and the few things that the launcher does with them.

#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/base/unique_fd.h"

namespace farandole::launch {

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

// Both ends close on exec; the read end does not block.
Result<Pipe> make_pipe();

// Opens /dev/null wherever 0, 1 or 2 is closed, so that no other file lands there.
Status open_missing_standard_fds();

// Makes `fd` refer to /dev/null.
void point_at_null(int fd) noexcept;

// Closes every descriptor from 3 on that `keep` does not name.
void close_other_fds(std::vector<int> keep) noexcept;

// Writes all of `text`, as far as the descriptor takes it.
void write_all(int fd, std::string_view text) noexcept;

// Raises the soft limit of open files so that `wanted` fit.
// Fails: System, naming the limit and the number, where the hard limit is too low.
Status ensure_open_files(size_t wanted, int ranks);

}  // namespace farandole::launch

#include "controller/launch/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include "core/base/failpoint.h"
#include "core/base/format.h"

namespace farandole::launch {
namespace {

// For kernels before 5.9, which know no close_range(2).
void close_one_by_one(const std::vector<int>& keep) noexcept {
  DIR* const dir = opendir("/proc/self/fd");
  if (!dir)
    return;
  std::vector<int> open_fds;
  while (const dirent* entry = readdir(dir))  // NOLINT(concurrency-mt-unsafe): one thread
    open_fds.push_back(std::atoi(entry->d_name));
  closedir(dir);
  for (const int fd : open_fds) {
    if (fd > STDERR_FILENO && std::find(keep.begin(), keep.end(), fd) == keep.end())
      close(fd);
  }
}

}  // namespace

Result<Pipe> make_pipe() {
  int ends[2];
  if (FARANDOLE_FAIL_CALL("fd.make_pipe.pipe2", pipe2(ends, O_CLOEXEC)) != 0)
    return system_error("pipe2", errno);
  Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  if (FARANDOLE_FAIL_CALL("fd.make_pipe.fcntl", fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK)) != 0)
    return system_error("fcntl(F_SETFL)", errno);
  return pipe;
}

Status open_missing_standard_fds() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0)
      continue;
    // The lowest free number is `fd` itself, as those below it are open by now.
    if (FARANDOLE_FAIL_CALL(
            "fd.open_missing_standard_fds.open", open("/dev/null", O_RDWR | O_NOCTTY)) != fd)
      return system_error("open /dev/null", errno);
  }
  return Status::ok();
}

void point_at_null(int fd) noexcept {
  const UniqueFd null(FARANDOLE_FAIL_CALL(
      "fd.point_at_null.open", open("/dev/null", O_RDWR | O_NOCTTY | O_CLOEXEC)));
  if (null)
    (void)FARANDOLE_FAIL_CALL("fd.point_at_null.dup2", dup2(null.get(), fd));
}

void close_other_fds(std::vector<int> keep) noexcept {
  std::sort(keep.begin(), keep.end());
  unsigned first = STDERR_FILENO + 1;
  for (const int fd : keep) {
    const auto kept = static_cast<unsigned>(fd);
    if (fd <= STDERR_FILENO || kept < first)
      continue;
    if (kept > first &&
        FARANDOLE_FAIL_CALL("fd.close_other_fds.close_range", close_range(first, kept - 1, 0)) != 0)
      return close_one_by_one(keep);
    first = kept + 1;
  }
  if (FARANDOLE_FAIL_CALL("fd.close_other_fds.2.close_range", close_range(first, UINT_MAX, 0)) != 0)
    close_one_by_one(keep);
}

void write_all(int fd, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t wrote = FARANDOLE_FAIL_CALL(
        "fd.write_all.write",
        write(fd, text.data(), FARANDOLE_FAIL_SIZE("fd.write_all.write", text.size())));
    if (wrote < 0 && errno == EINTR)
      continue;
    if (wrote <= 0)
      return;
    text.remove_prefix(static_cast<size_t>(wrote));
  }
}

Status ensure_open_files(size_t wanted, int ranks) {
  rlimit limit{};
  if (FARANDOLE_FAIL_CALL("fd.ensure_open_files.getrlimit", getrlimit(RLIMIT_NOFILE, &limit)) != 0)
    return system_error("getrlimit(RLIMIT_NOFILE)", errno);
  if (limit.rlim_cur >= wanted)
    return Status::ok();
  if (limit.rlim_max < wanted)
    return error(
        Code::System,
        "{} ranks need {} open files, but the limit is {}: raise it (ulimit -Hn {}) or start fewer "
        "ranks",
        ranks,
        wanted,
        limit.rlim_max,
        wanted);
  limit.rlim_cur = wanted;
  if (FARANDOLE_FAIL_CALL("fd.ensure_open_files.setrlimit", setrlimit(RLIMIT_NOFILE, &limit)) != 0)
    return system_error("setrlimit(RLIMIT_NOFILE)", errno);
  return Status::ok();
}

}  // namespace farandole::launch

#include "controller/launch/process_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <unordered_map>

#include "controller/launch/fd.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"

namespace farandole::launch {
namespace {

std::optional<pid_t> number_at(std::string_view& text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  pid_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc())
    return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

std::optional<ProcessInfo> read_stat(int proc, std::string_view pid) {
  const std::string path = std::string(pid) + "/stat";
  const UniqueFd file(FARANDOLE_FAIL_CALL(
      "process_tree.read_stat.openat", openat(proc, path.c_str(), O_RDONLY | O_CLOEXEC)));
  if (!file)
    return std::nullopt;
  std::array<char, 512> buffer{};  // the fields wanted stand before byte 100
  const ssize_t got = FARANDOLE_FAIL_CALL(
      "process_tree.read_stat.read", read(file.get(), buffer.data(), buffer.size()));
  if (got <= 0)
    return std::nullopt;
  return parse_stat({buffer.data(), static_cast<size_t>(got)});
}

}  // namespace

std::optional<ProcessInfo> parse_stat(std::string_view text) {
  ProcessInfo info;
  const auto pid = number_at(text);
  const size_t name_end = text.rfind(')');
  if (!pid || name_end == std::string_view::npos || text.size() < name_end + 4)
    return std::nullopt;
  info.pid = *pid;
  info.state = text[name_end + 2];
  text.remove_prefix(name_end + 3);
  const auto parent = number_at(text);
  const auto group = number_at(text);
  if (!parent || !group)
    return std::nullopt;
  info.parent = *parent;
  info.group = *group;
  return info;
}

Result<std::vector<ProcessInfo>> all_processes() {
  std::vector<ProcessInfo> found;
  DIR* const dir = FARANDOLE_FAIL_CALL("process_tree.all_processes.opendir", 0) != 0
                       ? nullptr
                       : opendir("/proc");
  if (!dir)
    return system_error("opendir /proc", errno);
  while (const dirent* entry = readdir(dir)) {  // NOLINT(concurrency-mt-unsafe): one thread
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
      continue;
    if (const auto info = read_stat(dirfd(dir), entry->d_name))
      found.push_back(*info);
  }
  closedir(dir);
  return found;
}

std::vector<ProcessInfo> descendants(
    const std::vector<ProcessInfo>& all, pid_t root, const std::function<bool(pid_t)>& skip) {
  std::unordered_multimap<pid_t, const ProcessInfo*> by_parent;
  for (const ProcessInfo& info : all) by_parent.emplace(info.parent, &info);
  std::vector<ProcessInfo> found;
  std::vector<pid_t> open{root};
  while (!open.empty()) {
    const auto [begin, end] = by_parent.equal_range(open.back());
    open.pop_back();
    for (auto child = begin; child != end; ++child) {
      const ProcessInfo& info = *child->second;
      if (skip && skip(info.pid))
        continue;
      open.push_back(info.pid);
      if (info.state != 'Z')
        found.push_back(info);
    }
    by_parent.erase(begin, end);  // /proc is no snapshot: never follow a loop
  }
  return found;
}

std::vector<ProcessInfo> own_descendants(const std::function<bool(pid_t)>& skip) {
  const auto all = all_processes();
  return all ? descendants(all.value(), getpid(), skip) : std::vector<ProcessInfo>();
}

size_t signal_descendants(int number, const std::function<bool(pid_t)>& skip) {
  const auto below = own_descendants(skip);
  for (const ProcessInfo& info : below) kill(info.pid, number);
  return below.size();
}

size_t signal_group_below(int number, pid_t group) {
  size_t sent = 0;
  for (const ProcessInfo& info : own_descendants()) {
    if (info.group == group && kill(info.pid, number) == 0)
      ++sent;
  }
  return sent;
}

ReapResult reap_children() {
  ReapResult result;
  while (true) {
    int status = 0;
    rusage usage{};
    const pid_t pid = FARANDOLE_FAIL_CALL(
        "process_tree.reap_children.wait4", wait4(-1, &status, WNOHANG, &usage));
    if (pid > 0) {
      result.ended.push_back({pid, status, usage.ru_maxrss});
      continue;
    }
    if (pid < 0 && errno == EINTR)
      continue;
    result.childless = pid < 0 && errno == ECHILD;
    return result;
  }
}

}  // namespace farandole::launch

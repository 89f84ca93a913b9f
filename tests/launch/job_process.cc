#include "tests/launch/job_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include "controller/launch/poll_wait.h"
#include "controller/launch/process_tree.h"

namespace farandole::launch {
namespace {

UniqueFd open_pidfd(pid_t pid) {
  return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

std::string next_mark() {
  static std::atomic<int> count{0};
  return fmt::format("FDL_TEST_MARK=mark-{}-{}-end", getpid(), ++count);
}

}  // namespace

std::string program(const std::string& name) {
  return std::string(PROGRAMS) + "/" + name;
}

std::string read_proc(pid_t pid, const std::string& name) {
  const std::ifstream file(fmt::format("/proc/{}/{}", pid, name));
  std::ostringstream read;
  read << file.rdbuf();  // nothing, and no exception, where it ends meanwhile
  std::string text = std::move(read).str();
  std::replace(text.begin(), text.end(), '\0', '\n');
  return text;
}

std::string read_bytes(int fd, size_t size) {
  const TimePoint deadline = steady_now() + kPatience;
  std::string text;
  while (text.size() < size && steady_now() < deadline) {
    std::array<pollfd, 1> fds{{{fd, POLLIN, 0}}};
    poll_until(fds, deadline);
    std::array<char, 4096> buffer{};
    const ssize_t got = read(fd, buffer.data(), std::min(buffer.size(), size - text.size()));
    text.append(buffer.data(), got > 0 ? static_cast<size_t>(got) : 0);
  }
  return text;
}

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size()))
    ++count;
  return count;
}

JobProcess::JobProcess(const std::vector<std::string>& arguments, const Setup& setup)
    : mark_(next_mark()) {
  int in[2];
  int out[2];
  int err[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
    std::abort();
  pid_ = fork();
  if (pid_ == 0)
    become(arguments, setup, in[0], out[1], err[1]);
  setpgid(pid_, pid_);
  for (const int fd : {in[0], out[1], err[1]}) close(fd);
  input_ = UniqueFd(in[1]);
  output_ = UniqueFd(out[0]);
  error_ = UniqueFd(err[0]);
  if (!setup.keep_input)
    input_.reset();
}

// A group of its own in the same session, as a shell would start it.
void JobProcess::become(
    const std::vector<std::string>& arguments, const Setup& setup, int in, int out, int err) {
  setpgid(0, 0);
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  const size_t equals = mark_.find('=');
  setenv(mark_.substr(0, equals).c_str(), mark_.substr(equals + 1).c_str(), 1);
  for (const auto& [name, value] : setup.environment) setenv(name.c_str(), value.c_str(), 1);
  const bool same_user = setup.user == 0;
  if (!same_user &&
      (setgroups(0, nullptr) != 0 || setresgid(setup.user, setup.user, setup.user) != 0 ||
       setresuid(setup.user, setup.user, setup.user) != 0))
    _exit(124);
  std::vector<char*> argv{const_cast<char*>(setup.launcher.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  _exit(125);
}

JobProcess::~JobProcess() {
  const TimePoint deadline = steady_now() + kPatience;
  for (auto left = processes(); !left.empty() && steady_now() < deadline; left = processes()) {
    for (const pid_t pid : left) ::kill(pid, SIGKILL);
    left_after(std::chrono::seconds(1));
  }
  if (!reaped_)
    waitpid(pid_, nullptr, 0);
}

void JobProcess::write_input(const std::string& text) {
  write_all(input_.get(), text);
}

void JobProcess::kill(int number) const {
  ::kill(pid_, number);
}

// False at the deadline and when nothing is left to read.
bool JobProcess::read_more(TimePoint deadline) {
  if ((!output_ && !error_) || steady_now() >= deadline)
    return false;
  std::array<pollfd, 2> fds{{{output_.get(), POLLIN, 0}, {error_.get(), POLLIN, 0}}};
  poll_until(fds, deadline);
  std::array<char, 65536> buffer{};
  for (size_t i = 0; i < fds.size(); ++i) {
    if (!fds[i].revents)
      continue;
    const ssize_t got = read(fds[i].fd, buffer.data(), buffer.size());
    if (got > 0)
      (i == 0 ? out_ : err_).append(buffer.data(), static_cast<size_t>(got));
    else
      (i == 0 ? output_ : error_).reset();
  }
  return true;
}

bool JobProcess::wait_for(const std::string& text, int times) {
  const TimePoint deadline = steady_now() + kPatience;
  while (count_of(out_, text) + count_of(err_, text) < static_cast<size_t>(times)) {
    if (!read_more(deadline))
      return false;
  }
  return true;
}

JobResult JobProcess::wait() {
  const TimePoint deadline = steady_now() + kPatience;
  while (read_more(deadline)) {
  }
  const UniqueFd pidfd = open_pidfd(pid_);
  std::array<pollfd, 1> fds{{{pidfd.get(), POLLIN, 0}}};
  poll_until(fds, deadline);
  JobResult result{-1, out_, err_};
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == pid_) {
    reaped_ = true;
    result.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  return result;
}

bool JobProcess::wait_for_stop() const {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WEXITED | WNOWAIT) == 0 &&
         info.si_code == CLD_STOPPED;
}

std::vector<pid_t> JobProcess::processes() const {
  std::vector<pid_t> found;
  const auto all = all_processes();
  if (!all)
    throw std::runtime_error(all.status().message());
  for (const ProcessInfo& info : all.value()) {
    const bool marked = read_proc(info.pid, "environ").find(mark_) != std::string::npos;
    if (marked && info.state != 'Z' && info.pid != getpid())
      found.push_back(info.pid);
  }
  return found;
}

std::vector<pid_t> JobProcess::named(const std::string& name) const {
  std::vector<pid_t> found;
  for (const pid_t pid : processes()) {
    if (read_proc(pid, "comm") == name + "\n")
      found.push_back(pid);
  }
  return found;
}

std::vector<pid_t> JobProcess::left_after(Duration time) const {
  const TimePoint deadline = steady_now() + time;
  std::vector<pid_t> left = processes();
  while (!left.empty() && steady_now() < deadline) {
    for (const pid_t pid : left) {
      const UniqueFd pidfd = open_pidfd(pid);
      std::array<pollfd, 1> fds{{{pidfd.get(), POLLIN, 0}}};
      if (pidfd)
        poll_until(fds, deadline);
    }
    left = processes();
  }
  return left;
}

JobResult run_job(const std::vector<std::string>& arguments, const JobProcess::Setup& setup) {
  return JobProcess(arguments, setup).wait();
}

}  // namespace farandole::launch

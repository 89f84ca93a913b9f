#include "controller/launch/spawn.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>

#include "controller/launch/signals.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/uninterrupted.h"

namespace farandole::launch {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const std::string& text : texts)
    result.push_back(const_cast<char*>(text.c_str()));  // NOLINT: the type that exec wants
  result.push_back(nullptr);
  return result;
}

// In the new process. Returns only where exec fails, with its errno.
int become(const RankProgram& program, pid_t keeper, int result_fd) {
  if (FARANDOLE_FAIL_CALL("spawn.become.prctl", prctl(PR_SET_PDEATHSIG, SIGKILL)) != 0)
    return errno;
  if (getppid() != keeper)  // it died before the line above
    _exit(128 + SIGKILL);
  if (program.own_group && FARANDOLE_FAIL_CALL("spawn.become.setpgid", setpgid(0, 0)) != 0)
    return errno;
  if (FARANDOLE_FAIL_CALL("spawn.become.dup2", dup2(program.input, STDIN_FILENO)) < 0 ||
      FARANDOLE_FAIL_CALL("spawn.become.2.dup2", dup2(program.output, STDOUT_FILENO)) < 0 ||
      FARANDOLE_FAIL_CALL("spawn.become.3.dup2", dup2(program.error, STDERR_FILENO)) < 0)
    return errno;
  close_other_fds({result_fd});
  if (FARANDOLE_FAIL_CALL(
          "spawn.become.setrlimit", setrlimit(RLIMIT_NOFILE, &program.open_files)) != 0)
    return errno;
  if (const int why = program.cpus.empty() ? 0 : bind_to(program.cpus); why != 0)
    return why;
  const std::vector<char*> argv = pointers(program.argv);
  const std::vector<char*> environment = pointers(program.environment);
  restore_signals(program.kept_ignored);
  // The variant with "p" only because it runs scripts without "#!" as a shell would; the path has a
  // slash, so nothing is searched.
  FARANDOLE_FAIL_CALL(
      "spawn.become.execvpe", execvpe(program.path.c_str(), argv.data(), environment.data()));
  return errno;
}

}  // namespace

SpawnedRank spawn_rank(const RankProgram& program) {
  auto result = make_pipe();
  if (!result)
    return {.error = errno};
  const pid_t keeper = getpid();
  const pid_t pid = FARANDOLE_FAIL_CALL("spawn.spawn_rank.fork", fork());
  if (pid < 0)
    return {.error = errno};
  if (pid == 0) {
    const int why = become(program, keeper, result.value().write.get());
    write_all(result.value().write.get(), {reinterpret_cast<const char*>(&why), sizeof why});
    _exit(127);
  }
  if (program.own_group)
    setpgid(pid, pid);  // whoever comes first; signals to the group work from here on
  return {pid, std::move(result.value().read)};
}

int read_exec_result(const UniqueFd& exec_result) {
  int why = 0;
  const ssize_t got = uninterrupted([&] {
    return FARANDOLE_FAIL_CALL(
        "spawn.read_exec_result.read", read(exec_result.get(), &why, sizeof why));
  });
  return got == static_cast<ssize_t>(sizeof why) ? why : 0;
}

}  // namespace farandole::launch

#include "tests/sim/trial.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "core/base/format.h"

namespace farandole::sim {
namespace {

// What the child tells through a pipe: records, the last of which is the end of the run.
enum class Record : uint8_t { Line, Violation, End };

struct Head {
  Record record;
  uint32_t bytes;
};

struct Figures {
  uint64_t events = 0;
  uint64_t digest = 0;
  std::array<uint64_t, kFaultKinds> faults{};
};

bool write_all(int to, const void* bytes, size_t count) {
  const auto* next = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t done = write(to, next, count);
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0)
      return false;
    next += done;
    count -= static_cast<size_t>(done);
  }
  return true;
}

void tell(int to, Record record, const void* bytes, size_t count) {
  const Head head{record, static_cast<uint32_t>(count)};
  if (!write_all(to, &head, sizeof head) || !write_all(to, bytes, count))
    _exit(EXIT_FAILURE);  // nobody listens any more
}

std::string read_all(int from) {
  std::string all;
  std::array<char, 65536> some;
  while (true) {
    const ssize_t count = read(from, some.data(), some.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return all;
    all.append(some.data(), static_cast<size_t>(count));
  }
}

// The whole of a run in the child.
void run_in_child(const Plan& plan, const TrialOptions& options, int to) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int nowhere = options.silent ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
  if (nowhere >= 0)
    dup2(nowhere, STDERR_FILENO);
  limit_this_process(options.patience);
  RunOptions run = options.run;
  run.line = [to](const std::string& text) { tell(to, Record::Line, text.data(), text.size()); };
  const RunResult result = run_plan(plan, run);
  if (result.violation)
    tell(to, Record::Violation, result.violation->data(), result.violation->size());
  const Figures figures{result.events, result.digest, result.faults};
  tell(to, Record::End, &figures, sizeof figures);
  _exit(EXIT_SUCCESS);
}

// False: it breaks off before the end.
bool take_records(const std::string& told, RunResult& to) {
  for (size_t at = 0; told.size() - at >= sizeof(Head);) {
    Head head;
    std::memcpy(&head, told.data() + at, sizeof head);
    at += sizeof head;
    if (told.size() - at < head.bytes)
      return false;
    if (head.record == Record::End) {
      Figures figures;
      std::memcpy(&figures, told.data() + at, sizeof figures);
      to.events = figures.events;
      to.digest = figures.digest;
      to.faults = figures.faults;
      return true;
    }
    std::string text = told.substr(at, head.bytes);
    at += head.bytes;
    if (head.record == Record::Line)
      to.trace.push_back(std::move(text));
    else
      to.violation = std::move(text);
  }
  return false;
}

itimerval once_after(Duration duration) {
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return {
      .it_interval = {}, .it_value = {.tv_sec = micros / 1'000'000, .tv_usec = micros % 1'000'000}};
}

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

void limit_this_process(const Patience& patience) {
  const itimerval processor = once_after(patience.processor);
  const itimerval wall = once_after(patience.wall);
  const rlimit no_core{};
  setrlimit(RLIMIT_CORE, &no_core);
  setitimer(ITIMER_PROF, &processor, nullptr);
  setitimer(ITIMER_REAL, &wall, nullptr);
}

std::string describe_end(int status, const Patience& patience) {
  if (!WIFSIGNALED(status))
    return fmt::format("crash: exit status {}", WEXITSTATUS(status));
  switch (const int signal = WTERMSIG(status)) {
    case SIGPROF:
      return fmt::format(
          "hang: an event took more than {:g} s of processor time", seconds(patience.processor));
    case SIGALRM:
      return fmt::format("hang: an event waits, for {:g} s", seconds(patience.wall));
    default:
      return fmt::format("crash: signal {} ({})", signal, strsignal(signal));
  }
}

RunResult try_plan(const Plan& plan, const TrialOptions& options) {
  RunResult result;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    result.violation = fmt::format("no pipe for a process to run in: {}", strerror(errno));
    return result;
  }
  const pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    run_in_child(plan, options, ends[1]);
  }
  close(ends[1]);
  if (pid < 0) {
    result.violation = fmt::format("no process to run in: {}", strerror(errno));
    close(ends[0]);
    return result;
  }
  const std::string told = read_all(ends[0]);
  close(ends[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  if (!take_records(told, result))
    result.violation = describe_end(status, options.patience);
  return result;
}

}  // namespace farandole::sim

#include "tests/support/scheduling_delay.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>

namespace farandole::testing {
namespace {

// The second number of schedstat: nanoseconds on a run queue.
Duration delay_in(const std::filesystem::path& task) {
  std::ifstream file(task / "schedstat");
  int64_t ran = 0;
  int64_t waited = 0;
  file >> ran >> waited;
  return Duration(file ? waited : 0);
}

std::map<pid_t, Duration> delays_of(pid_t process) {
  std::map<pid_t, Duration> delays;
  std::error_code gone;
  const std::filesystem::path tasks = "/proc/" + std::to_string(process) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks, gone))
    delays[std::stoi(task.path().filename())] = delay_in(task.path());
  return delays;
}

// What the host of a virtual machine gave to others: the eighth number of its processors' line.
Duration stolen_time() {
  std::ifstream file("/proc/stat");
  std::string cpu;
  int64_t ticks = 0;
  file >> cpu;
  for (int i = 0; i < 8; ++i) file >> ticks;
  return file ? Duration(ticks * (1'000'000'000 / sysconf(_SC_CLK_TCK))) : Duration::zero();
}

}  // namespace

Duration scheduling_delay(pid_t process) {
  const auto delays = delays_of(process);
  return std::accumulate(
      delays.begin(), delays.end(), Duration::zero(), [](Duration sum, const auto& of) {
        return sum + of.second;
      });
}

DelayWatch::DelayWatch() : before_(delays_of(getpid())), stolen_before_(stolen_time()) {}

void DelayWatch::leave() {
  const auto before = before_.find(gettid());
  const Duration own = delay_in("/proc/thread-self");
  MutexLock lock(mutex_);
  left_ += own - (before == before_.end() ? Duration::zero() : before->second);
}

Duration DelayWatch::total() const {
  MutexLock lock(mutex_);
  Duration sum = left_ + stolen_time() - stolen_before_;
  for (const auto& [thread, delay] : delays_of(getpid())) {
    const auto before = before_.find(thread);
    sum += delay - (before == before_.end() ? Duration::zero() : before->second);
  }
  return sum;
}

}  // namespace farandole::testing

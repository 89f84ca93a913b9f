#include "tests/support/scheduling_delay.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>

#include "core/base/format.h"

namespace farandole::testing {
namespace {

// The second number of schedstat: nanoseconds on a run queue.
Duration delay_in(const std::string& schedstat) {
  std::ifstream file(schedstat);
  int64_t ran = 0;
  int64_t waited = 0;
  file >> ran >> waited;
  return Duration(file ? waited : 0);
}

// By processor: the eighth number of its line.
std::vector<Duration> stolen_times() {
  const int64_t tick = 1'000'000'000 / sysconf(_SC_CLK_TCK);
  std::vector<Duration> stolen;
  std::ifstream file("/proc/stat");
  file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');  // the sum of all
  for (std::string line; std::getline(file, line) && line.compare(0, 3, "cpu") == 0;) {
    std::istringstream fields(line);
    std::string name;
    int64_t ticks = 0;
    fields >> name;
    for (int i = 0; i < 8; ++i) fields >> ticks;
    stolen.emplace_back(fields ? ticks * tick : 0);
  }
  return stolen;
}

double milliseconds(Duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

}  // namespace

Duration scheduling_delay(pid_t process, pid_t thread) {
  return delay_in(fmt::format("/proc/{}/task/{}/schedstat", process, thread));
}

Duration own_scheduling_delay() {
  return delay_in("/proc/thread-self/schedstat");
}

DelayWatch::DelayWatch() : DelayWatch(getpid(), gettid()) {}

DelayWatch::DelayWatch(pid_t process, pid_t thread)
    : process_(process), thread_(thread), before_(scheduling_delay(process, thread)) {}

Duration DelayWatch::total() const {
  return std::max(Duration::zero(), scheduling_delay(process_, thread_) - before_);
}

StolenWatch::StolenWatch() : before_(stolen_times()) {}

Duration StolenWatch::total() const {
  const std::vector<Duration> now = stolen_times();
  Duration most{};
  for (size_t i = 0; i < std::min(now.size(), before_.size()); ++i)
    most = std::max(most, now[i] - before_[i]);
  return most;
}

Duration excused(Duration of_the_way, const StolenWatch& stolen) {
  return std::min(of_the_way + stolen.total(), kMostExcused);
}

std::string complaint(Duration took, Duration limit, Duration excuse) {
  if (took < limit + excuse)
    return {};
  return fmt::format(
      "took {:.2f} ms, where {:.0f} ms are promised and {:.2f} ms excused",
      milliseconds(took),
      milliseconds(limit),
      milliseconds(excuse));
}

}  // namespace farandole::testing

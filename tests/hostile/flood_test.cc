// Ten thousand strangers at once: a job that forms takes its ranks in all the same, within bounded
// memory and descriptors; a job that runs has no port at which they could be heard at all, and
// keeps its pace.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <thread>

#include "tests/hostile/rank_client.h"

namespace farandole::hostile {
namespace {

using namespace std::chrono_literals;

constexpr size_t kStrangers = 10'000;
constexpr size_t kMostGrowth = (kSanitized ? 1024 : 16) * (size_t{1} << 20);
// Refusing somebody costs a sanitized rank several times as much.
constexpr double kLeastPace = kSanitized ? 0.4 : 0.8;

size_t open_files(pid_t pid) {
  const auto folder = fmt::format("/proc/{}/fd", pid);
  return static_cast<size_t>(std::distance(
      std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
}

// One stranger of the six kinds that there are. Holds on to those that say nothing.
void disturb(const net::Endpoint& at, size_t number, std::vector<WireClient>& silent) {
  auto client = WireClient::connect(at);
  if (!client)
    return;
  const Bytes hello = {'F', 'D', 'L', 'H', 0, 80, 0, 1, 0, 1};
  switch (number % 6) {
    case 0:
      client->send("GET / HTTP/1.1\r\n\r\n");
      break;
    case 1:
      client->reset();
      break;
    case 2:
      client->send(Bytes(512, 0xAA));
      break;
    case 3:
      client->send(hello);
      silent.push_back(std::move(*client));
      break;
    case 4:
      silent.push_back(std::move(*client));
      break;
    default:
      break;
  }
  if (silent.size() > 900)  // this process's own descriptors
    silent.erase(silent.begin(), silent.begin() + 300);
}

TEST(Flood, AJobFormsAmongTenThousandStrangers) {
  RealJob job({.arguments = {"held=1"}});
  ASSERT_TRUE(job.wait_for(1, "waits"));
  ASSERT_TRUE(job.wait_for_listener());
  const pid_t zero = job.pid_of(0);
  const size_t files = open_files(zero);
  const size_t memory = resident_bytes(zero);
  size_t most_files = 0, most_memory = 0;
  const TimePoint begin = steady_now();
  std::vector<WireClient> silent;
  for (size_t i = 0; i < kStrangers; ++i) {
    disturb(job.facts().controller, i, silent);
    if (i % 200 == 0) {
      most_files = std::max(most_files, open_files(zero));
      most_memory = std::max(most_memory, resident_bytes(zero));
    }
  }
  const TimePoint end = steady_now();
  // The crowd goes on while the true rank comes.
  std::atomic<bool> formed{false};
  std::thread crowd([&] {
    for (size_t i = 0; !formed; ++i) disturb(job.facts().controller, i, silent);
  });
  job.release(1);
  const bool ready = job.wait_for(1, "ready");
  const TimePoint joined = steady_now();
  formed = true;
  crowd.join();
  ASSERT_TRUE(ready) << job.launcher().err();
  const auto seconds = [](Duration d) { return std::chrono::duration<double>(d).count(); };
  std::cout << fmt::format(
      "{} strangers in {:.2f} s: rank 0 grew by {} KiB and {} descriptors; rank 1 joined among "
      "them "
      "in {:.0f} ms\n",
      kStrangers,
      seconds(end - begin),
      (most_memory - std::min(most_memory, memory)) >> 10,
      most_files - std::min(most_files, files),
      1e3 * seconds(joined - end));
  EXPECT_LT(most_memory, memory + kMostGrowth);
  // 2 n + 64 that have proved nothing, and those that are being let go.
  EXPECT_LE(most_files, files + 2 * 2 + 64 + 40);
  EXPECT_LT(joined - end, 10s);
  const launch::JobResult result = job.stop();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_LE(log_lines(result.err), 2 + static_cast<size_t>(seconds(joined - begin))) << result.err;
}

// Steps per second of rank 0 between two moments.
class Pace {
 public:
  explicit Pace(const std::string& output) {
    std::istringstream lines(output);
    for (std::string line; std::getline(lines, line);) {
      double at = 0;
      long steps = 0;
      if (std::sscanf(line.c_str(), "[0] at %lf steps %ld", &at, &steps) == 2)
        samples_.emplace_back(at, steps);
    }
  }
  // Of the last report.
  TimePoint end() const {
    const double at = samples_.empty() ? 0 : samples_.back().first;
    return TimePoint(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(at)));
  }
  double between(TimePoint begin, TimePoint end) const {
    return (steps_at(end) - steps_at(begin)) / std::chrono::duration<double>(end - begin).count();
  }

 private:
  double steps_at(TimePoint when) const {
    const double at = std::chrono::duration<double>(when.time_since_epoch()).count();
    const auto next = std::lower_bound(
        samples_.begin(), samples_.end(), at, [](const auto& s, double t) { return s.first < t; });
    if (next == samples_.begin() || next == samples_.end())
      throw std::runtime_error("rank 0 reported nothing around that time");
    const auto last = std::prev(next);
    const double part = (at - last->first) / (next->first - last->first);
    return static_cast<double>(last->second) +
           part * static_cast<double>(next->second - last->second);
  }
  std::vector<std::pair<double, long>> samples_;
};

// Strangers at a closed port. They come a few at a time and cost this process as little as can be,
// because on two cores whatever they cost is taken from the job; what they cost is measured.
class Crowd {
 public:
  explicit Crowd(const net::Endpoint& at) : at_(net::resolve(at).value().front()) {}

  // `strangers` connections, spread evenly over `length`. Gives the processor time that they took.
  Duration come(size_t strangers, Duration length) {
    const TimePoint begin = steady_now();
    const Duration before = processor_time();
    for (size_t come = 0; come < strangers;) {
      for (size_t i = 0; i < kAtOnce && come < strangers; ++i, ++come) knock();
      std::this_thread::sleep_until(begin + length * come / strangers);
    }
    std::this_thread::sleep_until(begin + length);
    return processor_time() - before;
  }
  size_t refused() const { return refused_; }

 private:
  static constexpr size_t kAtOnce = 10;

  void knock() {
    const UniqueFd fd(socket(at_.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connect(fd.get(), at_.get(), at_.size) != 0 && errno == ECONNREFUSED)
      ++refused_;
  }
  // Of this thread; a closed port answers within the call.
  static Duration processor_time() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  }

  net::SocketAddress at_;
  size_t refused_ = 0;
};

// A stretch of time without strangers and one of the same length with them, which of the two comes
// first in turn. What else the machine does falls on both alike, and on few of the turns.
struct Turn {
  TimePoint quiet;
  TimePoint loud;
};

constexpr size_t kTurns = 16;
static_assert(kStrangers % kTurns == 0);
constexpr Duration kLength = 300ms;

// What rank 0 has printed, as soon as that covers `when`.
Pace pace_until(RealJob& job, TimePoint when) {
  size_t lines = launch::count_of(job.out(), "[0] at ");
  while (Pace(job.out()).end() < when)
    if (!job.launcher().wait_for("[0] at ", static_cast<int>(++lines)))
      throw std::runtime_error("rank 0 stands still");
  return Pace(job.out());
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

class FloodOf : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Running, FloodOf, testing::Values("shm", "gloo"));

TEST_P(FloodOf, AJobKeepsItsPace) {
  RealJob job({.environment = {{"FARANDOLE_COMMUNICATOR", GetParam()}}});
  for (const int rank : {0, 1}) {
    ASSERT_TRUE(job.wait_for(rank, "at "));
    EXPECT_EQ(listening_sockets(job.pid_of(rank)), std::vector<std::string>());
  }
  const size_t memory[] = {resident_bytes(job.pid_of(0)), resident_bytes(job.pid_of(1))};
  Crowd crowd(job.facts().controller);
  crowd.come(0, kLength);
  Duration crowd_time{};
  std::vector<Turn> turns(kTurns);
  for (size_t i = 0; i < kTurns; ++i)
    for (const bool loud : {i % 2 == 0, i % 2 == 1}) {
      (loud ? turns[i].loud : turns[i].quiet) = steady_now();
      crowd_time += crowd.come(loud ? kStrangers / kTurns : 0, kLength);
    }
  const Pace pace = pace_until(job, steady_now());
  size_t growth[2];
  for (const int rank : {0, 1}) {
    const size_t now = resident_bytes(job.pid_of(rank));
    growth[rank] = now - std::min(now, memory[rank]);
  }
  const launch::JobResult result = job.stop();
  ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
  std::vector<double> kept, quiet;
  for (const Turn& turn : turns) {
    quiet.push_back(pace.between(turn.quiet, turn.quiet + kLength));
    kept.push_back(pace.between(turn.loud, turn.loud + kLength) / quiet.back());
  }
  std::cout << fmt::format(
      "{}: {:.0f} steps/s; {:.1f} % of that while {} strangers come, {} in {} ms (median of {} "
      "turns; worst {:.1f} %, best {:.1f} %); the crowd takes {:.1f} % of a core; rank 0 grew by "
      "{} KiB, rank 1 by {} KiB\n",
      GetParam(),
      median(quiet),
      100 * median(kept),
      kStrangers,
      kStrangers / kTurns,
      kLength / 1ms,
      kTurns,
      100 * *std::ranges::min_element(kept),
      100 * *std::ranges::max_element(kept),
      100.0 * static_cast<double>(crowd_time.count()) /
          static_cast<double>((kLength * kTurns).count()),
      growth[0] >> 10,
      growth[1] >> 10);
  EXPECT_EQ(crowd.refused(), kStrangers) << "somebody answered";
  EXPECT_GT(median(kept), kLeastPace);
  for (const size_t grown : growth) EXPECT_LT(grown, kMostGrowth);
}

}  // namespace
}  // namespace farandole::hostile

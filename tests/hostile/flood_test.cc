// Ten thousand strangers at once: a job that forms takes its ranks in all the same, within bounded
// memory and descriptors; a job that runs has no port at which they could be heard at all, and
// keeps its pace.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
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
constexpr double kLeastPace = 0.8;

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

struct Window {
  TimePoint begin;
  TimePoint end;
};

// Until `length` has passed, spread evenly over it, `strangers` connections.
Window window(const net::Endpoint& at, size_t strangers, Duration length) {
  const TimePoint begin = steady_now();
  std::vector<WireClient> silent;
  for (size_t i = 0; i < strangers; ++i) {
    disturb(at, i, silent);
    std::this_thread::sleep_until(begin + length * (i + 1) / strangers);
  }
  std::this_thread::sleep_until(begin + length);
  return {begin, steady_now()};
}

// A port that is taken, and at which nobody listens: as that of a job that runs.
class DeafPort {
 public:
  DeafPort() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const net::SocketAddress any = net::resolve({"127.0.0.1", 0}).value().front();
    EXPECT_EQ(bind(fd_.get(), any.get(), any.size), 0);
  }
  net::Endpoint at() const { return net::local_end(fd_.get()).value().endpoint(); }

 private:
  net::Fd fd_;
};

// One window without strangers, one with them at a port that is not the job's, which costs the
// machine as much, and one with them at the job's. What else the machine does falls on all alike.
struct Turn {
  Window quiet;
  Window elsewhere;
  Window loud;
};

constexpr size_t kTurns = 13;
// A real loss shows in every turn but these; what a busy machine does to single turns does not.
constexpr size_t kExceptions = 2;
constexpr Duration kLength = 300ms;

// What rank 0 has printed, as soon as that covers `when`.
Pace pace_until(RealJob& job, TimePoint when) {
  size_t lines = launch::count_of(job.out(), "[0] at ");
  while (Pace(job.out()).end() < when)
    if (!job.launcher().wait_for("[0] at ", static_cast<int>(++lines)))
      throw std::runtime_error("rank 0 stands still");
  return Pace(job.out());
}

// Pace while strangers are at the job's port as a part of that in another window of each turn, in
// rising order.
std::vector<double> ratios_of(
    const std::vector<Turn>& turns, const Pace& pace, Window Turn::*other) {
  std::vector<double> ratios;
  for (const Turn& turn : turns)
    ratios.push_back(
        pace.between(turn.loud.begin, turn.loud.end) /
        pace.between((turn.*other).begin, (turn.*other).end));
  std::sort(ratios.begin(), ratios.end());
  return ratios;
}

class FloodOf : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Running, FloodOf, testing::Values("shm", "gloo"));

TEST_P(FloodOf, AJobKeepsItsPace) {
  RealJob job({.environment = {{"FARANDOLE_COMMUNICATOR", GetParam()}}});
  ASSERT_TRUE(job.wait_for(0, "at "));
  ASSERT_TRUE(job.wait_for(1, "at "));
  for (const int rank : {0, 1})
    EXPECT_EQ(listening_sockets(job.pid_of(rank)), std::vector<std::string>());
  const net::Endpoint& at = job.facts().controller;
  const size_t memory = resident_bytes(job.pid_of(0));
  const DeafPort nobody;
  window(at, 0, kLength);
  std::vector<Turn> turns;
  while (turns.size() < kTurns) {
    const Window quiet = window(at, 0, kLength);
    const Window elsewhere = window(nobody.at(), kStrangers / kTurns, kLength);
    turns.push_back({quiet, elsewhere, window(at, kStrangers / kTurns, kLength)});
  }
  const Pace pace = pace_until(job, turns.back().loud.end);
  const size_t growth = std::max(resident_bytes(job.pid_of(0)), memory) - memory;
  const launch::JobResult result = job.stop();
  ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
  const std::vector<double> of_quiet = ratios_of(turns, pace, &Turn::quiet);
  const std::vector<double> of_elsewhere = ratios_of(turns, pace, &Turn::elsewhere);
  std::cout << fmt::format(
      "{}: {:.0f} steps/s; while {} strangers come each {} ms {:.1f} % of it, and {:.1f} % of what "
      "it is while they go elsewhere; rank 0 grew by {} KiB\n",
      GetParam(),
      pace.between(turns[0].quiet.begin, turns[0].quiet.end),
      kStrangers / kTurns,
      kLength / 1ms,
      100 * of_quiet[kTurns / 2],
      100 * of_elsewhere[kTurns / 2],
      growth >> 10);
  EXPECT_GT(of_elsewhere[kTurns - 1 - kExceptions], kLeastPace)
      << "at its own port they cost the job more than elsewhere";
  EXPECT_LT(growth, kMostGrowth);
}

}  // namespace
}  // namespace farandole::hostile

#pragma once
// What the ranks of one run have seen, and what is expected of that: for tests of faults.

#include <algorithm>
#include <map>
#include <string>

#include "core/base/status.h"
#include "tests/sim/run.h"

namespace farandole::sim {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""us;
using std::chrono_literals::operator""s;

inline constexpr Duration kAt = 1s;
inline constexpr Duration kInterval = 100ms;
inline constexpr Duration kPatience = 1s;
// For what travels and is handled in these plans.
inline constexpr Duration kSoon = 20ms;
// When only silence tells of what happened.
inline constexpr Duration kSilentFrom = kPatience - kInterval - kSoon;
inline constexpr Duration kSilentTo = kPatience + 2 * kInterval + kSoon;
inline constexpr int kSteps = 60;

// Times since its start.
struct Seen {
  struct Verdict {
    int culprit = -1;
    Duration at{};
  };
  struct Refusal {
    Status why;
    Duration at{};
  };
  std::map<int, Verdict> verdicts;  // by who heard it
  std::map<int, Refusal> refusals;
  std::map<int, Duration> given_up;  // by ranks that found out by themselves
  std::map<int, Duration> deaths;
  std::map<int, int> starts;
  std::map<int, int> left;  // who, and how many heard
  size_t formed = 0;
  size_t carried_out = 0;
  RunResult result;

  bool traced(const std::string& text) const {
    return std::ranges::any_of(
        result.trace, [&](const std::string& line) { return line.find(text) != line.npos; });
  }
};

// Ranks on hosts of their own that reduce one tensor after the other for some seconds.
Plan job_of(int size);
// Expects that no monitor objects.
Seen run(const Plan& plan);
// Also that the fault was injected; at kAt, where it says nothing else.
Seen run_with(Plan plan, Fault fault);
void expect_verdict(const Seen& seen, int rank, int culprit, Duration from, Duration to);
void expect_undisturbed(const Seen& seen, int size);

}  // namespace farandole::sim

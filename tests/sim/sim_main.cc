// sim: runs seeds of the simulator. A failing one is shown as it is and as small as it can be made.

#include <malloc.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/base/format.h"
#include "tests/sim/campaign.h"
#include "tests/sim/run.h"
#include "tests/sim/shrink.h"
#include "tests/sim/trial.h"

namespace farandole::sim {
namespace {

using std::chrono_literals::operator""s;

constexpr const char* kUsage =
    "sim [--seeds=N] [--first=N] [--jobs=N] [--commit=TEXT]   runs many seeds\n"
    "sim --seed=N [--commit=TEXT]                             shows one\n";

struct Arguments {
  CampaignOptions campaign{.first = 1, .seeds = 20'000, .jobs = 1};
  uint64_t seed = 0;  // 0: many
  std::string commit;
};

bool read(std::string_view text, std::string_view name, uint64_t& to) {
  if (!text.starts_with(name))
    return false;
  text.remove_prefix(name.size());
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), to);
  return failed == std::errc() && end == text.data() + text.size() && to > 0;
}

bool read(int count, char** values, Arguments& to) {
  for (int i = 1; i < count; ++i) {
    const std::string_view text = values[i];
    uint64_t jobs = 0;
    if (read(text, "--jobs=", jobs) && jobs <= 1024)
      to.campaign.jobs = static_cast<unsigned>(jobs);
    else if (text.starts_with("--commit="))
      to.commit = text.substr(9);
    else if (
        !read(text, "--seeds=", to.campaign.seeds) && !read(text, "--first=", to.campaign.first) &&
        !read(text, "--seed=", to.seed))
      return false;
  }
  return true;
}

void show(const Plan& plan, const RunResult& result) {
  std::fputs(to_string(plan).c_str(), stdout);
  for (const std::string& line : result.trace) std::puts(line.c_str());
  if (result.violation)
    std::puts(("VIOLATED  " + *result.violation).c_str());
}

std::string place_of(const std::string& commit) {
  return commit.empty() ? "" : " at " + commit;
}

int show_seed(uint64_t seed, const std::string& commit) {
  std::puts(fmt::format("=== seed {}{}", seed, place_of(commit)).c_str());
  std::fflush(stdout);
  const Plan plan = draw_plan(seed);
  const RunResult result = try_plan(plan, {.run = {.traced = true}, .patience = {}});
  show(plan, result);
  std::puts(fmt::format("{} events, digest {:016x}", result.events, result.digest).c_str());
  if (!result.violation)
    return EXIT_SUCCESS;
  std::fflush(stdout);
  const Shrunk small = shrink(plan, [](const Plan& candidate, bool traced) {
    return try_plan(
        candidate,
        {.run = {.traced = traced}, .patience = {.processor = 3s, .wall = 30s}, .silent = true});
  });
  std::puts(fmt::format("=== seed {}, made smaller in {} runs", seed, small.runs).c_str());
  show(small.plan, small.result);
  std::puts(fmt::format("=== again: make sim SEED={}", seed).c_str());
  return EXIT_FAILURE;
}

int run_many(const Arguments& arguments) {
  const Campaign campaign = run_campaign(arguments.campaign);
  for (const auto* seeds : {&campaign.failed, &campaign.crashed})
    for (const uint64_t seed : *seeds)
      if (show_seed(seed, arguments.commit) == EXIT_SUCCESS)
        std::puts(fmt::format("=== seed {} came to no end once, and does so now", seed).c_str());
  std::puts(to_string(campaign).c_str());
  return campaign.failed.empty() && campaign.crashed.empty() ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace farandole::sim

int main(int argc, char** argv) {
  // Each job comes and goes with all its buffers: the memory stays with the process.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  farandole::sim::Arguments arguments;
  if (!farandole::sim::read(argc, argv, arguments)) {
    std::fputs(farandole::sim::kUsage, stderr);
    return 2;
  }
  return arguments.seed != 0 ? farandole::sim::show_seed(arguments.seed, arguments.commit)
                             : farandole::sim::run_many(arguments);
}

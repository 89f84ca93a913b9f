// mutants: asks both nets about every deliberate bug, and prints docs/mutations.md. Fails where one
// is caught by neither.

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/format.h"
#include "tests/mutation/mutations.h"
#include "tests/mutation/search_for.h"
#include "tests/sim/run.h"

namespace farandole::mutation {
namespace {

constexpr uint64_t kMostSeeds = 10'000;
constexpr std::string_view kNothing = "-";

constexpr const char* kHead = R"(# Mutations

Deliberate bugs of the control protocol, and what the two nets needed to catch each: the simulator (seeds from 1 on, at most 10,000) and the
exhaustive search (states, and the scenario). In brackets the invariant that was seen broken ([protocol.md](protocol.md)). `make mutants`
makes this page; [testing.md](testing.md) says what the nets are.

| bug | what it does | simulator | search |
|---|---|---|---|
)";

// What one mutant's process tells, readable after a crash, too.
struct Board {
  std::atomic<uint64_t> seed{0};  // under way
  std::array<char, 200> simulator{};
  std::array<char, 200> search{};
};

void put(std::array<char, 200>& cell, const std::string& text) {
  text.copy(cell.data(), cell.size() - 1);
}

// "I14: ranks ..." is about I14.
std::string invariant(const std::string& wrong) {
  const size_t colon = wrong.find(':');
  return wrong.starts_with('I') && colon < 8 ? wrong.substr(0, colon) : "protocol broken";
}

void try_simulator(Board& board) {
  for (uint64_t seed = 1; seed <= kMostSeeds; ++seed) {
    board.seed = seed;
    if (const auto wrong = sim::run_seed(seed).violation)
      return put(board.simulator, fmt::format("seed {} ({})", seed, invariant(*wrong)));
  }
  put(board.simulator, std::string(kNothing));
}

void try_search(std::string_view bug, Board& board) {
  const auto caught = search_for(bug);
  put(board.search,
      caught ? fmt::format(
                   "{} states, {} ({})", caught->states, caught->where, invariant(caught->wrong))
             : std::string(kNothing));
}

pid_t start(const Mutation& mutation, Board& board) {
  const pid_t pid = fork();
  if (pid != 0)
    return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  mutate(mutation.name);
  if (mutation.nets == Nets::Both)
    try_search(mutation.name, board);
  else
    put(board.search, std::string(kNothing));
  try_simulator(board);
  _exit(0);
}

// The row, and whether anything has caught it.
bool print_row(const Mutation& mutation, const Board& board, bool crashed) {
  std::string simulator = board.simulator.data();
  std::string search = board.search.data();
  if (crashed && search.empty())
    search = "it crashes";
  else if (crashed)
    simulator = fmt::format("seed {} (it crashes)", board.seed.load());
  fmt::print("| {} | {} | {} | {} |\n", mutation.name, mutation.bug, simulator, search);
  std::fflush(stdout);
  return simulator != kNothing || search != kNothing;
}

int run(size_t jobs) {
  constexpr size_t kCount = kMutations.size();
  void* const memory = mmap(
      nullptr, sizeof(Board) * kCount, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (const auto found = search_for("")) {
    fmt::print(stderr, "without a bug: {}: {}\n", found->where, found->wrong);
    return EXIT_FAILURE;
  }
  auto* const boards = static_cast<Board*>(memory);
  std::vector<pid_t> pids;
  bool all = true;
  std::fputs(kHead, stdout);
  std::fflush(stdout);
  for (size_t i = 0; i < kCount; ++i) {
    for (; pids.size() < std::min(kCount, i + jobs);)
      pids.push_back(start(kMutations[pids.size()], *new (boards + pids.size()) Board));
    int status = 0;
    waitpid(pids[i], &status, 0);
    all = print_row(kMutations[i], boards[i], status != 0) && all;
  }
  munmap(memory, sizeof(Board) * kCount);
  return all ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace farandole::mutation

int main(int argc, char** argv) {
  size_t jobs = 1;
  const std::string_view text = argc > 1 ? argv[1] : "1";
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), jobs);
  if (argc > 2 || failed != std::errc() || end != text.data() + text.size() || jobs == 0) {
    std::fputs("mutants [JOBS]\n", stderr);
    return 2;
  }
  return farandole::mutation::run(jobs);
}

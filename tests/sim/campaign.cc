#include "tests/sim/campaign.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <new>

#include "core/base/format.h"
#include "tests/sim/run.h"

namespace farandole::sim {
namespace {

constexpr int kProgressMilliseconds = 10'000;

// What a job tells, in memory shared with the parent: readable after a crash, too.
struct Board {
  std::atomic<uint64_t> seed{0};    // under way
  std::atomic<uint64_t> failed{0};  // a failing seed
  std::atomic<uint64_t> seeds{0};
  std::atomic<uint64_t> events{0};
  std::atomic<uint64_t> faultless{0};
  std::array<std::atomic<uint64_t>, kFaultKinds> faults{};
};

void work(const CampaignOptions& options, unsigned job, Board& board) {
  for (uint64_t i = job; i < options.seeds; i += options.jobs) {
    const uint64_t seed = options.first + i;
    board.seed = seed;
    limit_this_process(options.patience);
    const RunResult result = run_seed(seed, options.run);
    board.events += result.events;
    uint64_t faults = 0;
    for (size_t kind = 0; kind < kFaultKinds; ++kind) {
      board.faults[kind] += result.faults[kind];
      faults += result.faults[kind];
    }
    board.faultless += faults == 0 ? 1 : 0;
    ++board.seeds;
    if (result.violation) {
      board.failed = seed;
      return;
    }
  }
}

struct Job {
  pid_t pid = -1;
  int alive = -1;  // reads end of file once the process has ended
};

Job start(const CampaignOptions& options, unsigned number, Board& board) {
  int ends[2];
  if (pipe(ends) != 0)
    return {};
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(ends[0]);
    work(options, number, board);
    _exit(0);
  }
  close(ends[1]);
  return {pid, ends[0]};
}

Totals sum(const Board* boards, unsigned jobs) {
  Totals totals;
  for (unsigned i = 0; i < jobs; ++i) {
    totals.seeds += boards[i].seeds;
    totals.events += boards[i].events;
    totals.faultless += boards[i].faultless;
    for (size_t kind = 0; kind < kFaultKinds; ++kind) totals.faults[kind] += boards[i].faults[kind];
  }
  return totals;
}

double since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Campaign run_campaign(const CampaignOptions& options) {
  const auto started = std::chrono::steady_clock::now();
  void* const memory = mmap(
      nullptr,
      sizeof(Board) * options.jobs,
      PROT_READ | PROT_WRITE,
      MAP_SHARED | MAP_ANONYMOUS,
      -1,
      0);
  auto* const boards = static_cast<Board*>(memory);
  std::vector<Job> jobs;
  for (unsigned i = 0; i < options.jobs; ++i)
    jobs.push_back(start(options, i, *new (boards + i) Board));
  Campaign campaign;
  for (unsigned i = 0; i < options.jobs; ++i) {
    pollfd waits{jobs[i].alive, POLLIN, 0};
    while (poll(&waits, 1, kProgressMilliseconds) == 0) {
      const Totals now = sum(boards, options.jobs);
      std::printf(
          "%s\n",
          fmt::format("{} of {} seeds, {:.0f} s", now.seeds, options.seeds, since(started))
              .c_str());
      std::fflush(stdout);
    }
    close(jobs[i].alive);
    int status = 0;
    waitpid(jobs[i].pid, &status, 0);
    if (status != 0)
      campaign.crashed.push_back(boards[i].seed);
    else if (boards[i].failed != 0)
      campaign.failed.push_back(boards[i].failed);
  }
  campaign.totals = sum(boards, options.jobs);
  campaign.seconds = since(started);
  munmap(memory, sizeof(Board) * options.jobs);
  return campaign;
}

std::string to_string(const Campaign& campaign) {
  const Totals& totals = campaign.totals;
  std::string text = fmt::format(
      "{} seeds, {} events, {:.1f} s; {} seeds without faults; faults:",
      totals.seeds,
      totals.events,
      campaign.seconds,
      totals.faultless);
  for (size_t kind = 0; kind < kFaultKinds; ++kind)
    text += fmt::format(" {} {}", name_of(static_cast<Fault::Kind>(kind)), totals.faults[kind]);
  return text;
}

}  // namespace farandole::sim

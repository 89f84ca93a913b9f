#include <cstdio>
#include <cstdlib>

#include "tests/sim/run.h"
int main(int argc, char** argv) {
  using namespace farandole::sim;
  uint64_t from = strtoull(argv[1], nullptr, 10), to = strtoull(argv[2], nullptr, 10);
  uint64_t events = 0, bad = 0;
  for (uint64_t s = from; s < to; ++s) {
    RunResult r = run_seed(s, {argc > 3});
    events += r.events;
    if (argc > 3) {
      printf("%s", to_string(draw_plan(s)).c_str());
      for (auto& t : r.trace) printf("%s\n", t.c_str());
      printf("events %lu digest %lx\n", r.events, r.digest);
    }
    if (r.violation) {
      ++bad;
      printf("seed %lu [%lu]: %s\n", s, r.events, r.violation->c_str());
      fflush(stdout);
    }
  }
  printf("%lu seeds %lu events %lu bad\n", to - from, events, bad);
}

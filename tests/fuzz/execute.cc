#include <time.h>

#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/target.h"

namespace farandole::fuzz {
namespace {

// Processor time, so that a busy machine makes no finding.
constexpr double kMaxSeconds = 1;

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

void require(bool holds, std::string_view what, const char* file, int line) {
  if (holds)
    return;
  std::fprintf(
      stderr, "\n%s:%d: broken: %.*s\n", file, line, static_cast<int>(what.size()), what.data());
  std::fflush(stderr);
  std::abort();
}

void execute(void (*target)(Input), std::span<const uint8_t> bytes) {
  const double begin = processor_seconds();
  target(Input(bytes));
  require(processor_seconds() - begin < kMaxSeconds, "an input takes less than a second");
}

}  // namespace farandole::fuzz

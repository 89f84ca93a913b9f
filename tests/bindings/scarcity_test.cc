// A process that may open few files or start few threads: wherever it is that they run out,
// fdl_init ends with an error that says what was lacking and what to do, and with enough of them it
// works.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/unique_fd.h"
#include "tests/bindings/c_api_fixture.h"
#include "tests/support/session_cluster.h"

namespace farandole::testing {
namespace {

#ifdef FARANDOLE_SANITIZED
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// Makes a process scarce of something: its parameter is how many there may be.
using Scarcity = void (*)(int);

constexpr int kReport = STDERR_FILENO + 1;  // the only descriptor of a rank besides the usual three

void allow_files(int count) {
  const rlimit limit{static_cast<rlim_t>(kReport + 1 + count), static_cast<rlim_t>(1 << 10)};
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
    _exit(2);
}

// Stacks so large that address space for `count` of them is left, and for everything else.
void allow_threads(int count) {
  constexpr size_t kStack = size_t{512} << 20;
  mallopt(M_ARENA_MAX, 1);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStack);
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const size_t used = pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const rlimit limit{used + static_cast<size_t>(count) * kStack + kStack / 2, RLIM_INFINITY};
  if (pthread_setattr_default_np(&attributes) != 0 || setrlimit(RLIMIT_AS, &limit) != 0)
    _exit(2);
}

// Joins, takes part in a collective and leaves. What it has to say: the name of the code, a space
// and the text.
std::string take_part(const Config& config) {
  const std::string rank = std::to_string(config.rank), size = std::to_string(config.size);
  const fdl_setting settings[] = {
      {"rank", rank.c_str()},
      {"size", size.c_str()},
      {"controller", config.controller.c_str()},
      {"job", config.job.c_str()},
      {"secret_file", config.secret_file.c_str()}};
  fdl_options options = FDL_OPTIONS_INIT;
  options.settings = settings;
  options.setting_count = std::size(settings);
  options.ignore_environment = 1;
  fdl_session* session = nullptr;
  fdl_code code = fdl_init(&options, &session);
  float value = 1;
  if (code == FDL_OK)
    code = fdl_allreduce(session, "x", &value, &value, 1, FDL_FLOAT32, FDL_SUM);
  const std::string text = code == FDL_OK ? "" : fdl_last_error();
  fdl_destroy(session);
  return std::string(fdl_code_name(code)) + " " + text;
}

// One rank as a process, which tells how it fared.
class RankProcess {
 public:
  RankProcess(const Config& config, const std::function<void()>& prepare) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    report_.reset(ends[0]);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(ends[1], kReport);
      close_range(kReport + 1, ~0U, 0);
      prepare();
      const std::string said = take_part(config);
      _exit(write(kReport, said.data(), said.size()) < 0 ? 2 : 0);
    }
    close(ends[1]);
  }
  ~RankProcess() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  RankProcess(const RankProcess&) = delete;
  RankProcess& operator=(const RankProcess&) = delete;

  // Waits for its end. Nothing where it said nothing: a signal ended it.
  std::string said() const {
    std::string text(4096, '\0');
    const ssize_t got = read(report_.get(), text.data(), text.size());
    text.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return text;
  }

 private:
  UniqueFd report_;
  pid_t pid_ = -1;
};

struct Shortage {
  const char* name;
  Scarcity allow;
  const char* remedy;
  int rank, size;
  int at_least;  // so many are too few
};
void PrintTo(const Shortage& shortage, std::ostream* out) {
  *out << shortage.name;
}

class ScarcityTest : public ::testing::TestWithParam<Shortage> {};

TEST_P(ScarcityTest, EndsWithAnErrorThatNamesWhatIsLacking) {
  const Shortage& shortage = GetParam();
  if (kSanitized && shortage.allow == allow_threads)
    GTEST_SKIP() << "a sanitizer maps terabytes, and ends the process where it cannot";
  int count = 0;
  for (std::string said; !said.starts_with("Ok "); ++count) {
    ASSERT_LT(count, 40) << "there are never enough: " << said;
    const TestJob job;
    const RankProcess scarce(
        job.config(shortage.rank, shortage.size), [&] { shortage.allow(count); });
    std::vector<std::unique_ptr<RankProcess>> others;
    for (int rank = 0; rank < shortage.size; ++rank)
      if (rank != shortage.rank)
        others.push_back(std::make_unique<RankProcess>(job.config(rank, shortage.size), [] {}));
    said = scarce.said();
    if (said.starts_with("Ok "))
      continue;
    EXPECT_THAT(said, ::testing::StartsWith("System ")) << count;
    EXPECT_THAT(said, ::testing::HasSubstr(shortage.remedy)) << count;
  }
  EXPECT_GT(count, shortage.at_least);
}

INSTANTIATE_TEST_SUITE_P(
    Init,
    ScarcityTest,
    ::testing::Values(
        Shortage{"filesAlone", allow_files, "(ulimit -n)", 0, 1, 0},
        Shortage{"filesOfRank0", allow_files, "(ulimit -n)", 0, 2, 5},
        Shortage{"filesOfRank1", allow_files, "(ulimit -n)", 1, 2, 5},
        Shortage{"threadsAlone", allow_threads, "(ulimit -u, ", 0, 1, 3},
        Shortage{"threadsOfRank0", allow_threads, "(ulimit -u, ", 0, 2, 3},
        Shortage{"threadsOfRank1", allow_threads, "(ulimit -u, ", 1, 2, 3}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace farandole::testing

// One rank of two that ends in an untidy way, named by its argument, with an operation in flight
// that the other rank never joins. Ends with 0 where the library takes it as its header says.

#include <farandole/farandole.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

namespace {

constexpr int kWrong = 3;

// Also within exit(), where nothing can be thrown or returned.
void expect(bool right, const char* what) {
  if (right)
    return;
  std::fprintf(stderr, "exit_program: %s (last error: %s)\n", what, fdl_last_error());
  _exit(kWrong);
}

// What a program keeps for its whole life. Constructed before main and destroyed after it.
struct Keeper {
  fdl_session* session = nullptr;
  fdl_handle* handle = nullptr;
  double in = 1;
  double out = 0;
  bool tidy = false;  // whether the destructor gives everything back

  Keeper() { expect(fdl_rank(nullptr) == -1, "a call before main is refused"); }
  ~Keeper() {
    if (tidy)
      give_back("in a static destructor");
  }
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  // The other rank may have left before.
  void give_back(const char* when) {
    const fdl_code before = fdl_wait(handle, 0);
    expect(before == FDL_PENDING || before == FDL_PEER_LOST, when);
    expect(fdl_destroy(session) == FDL_OK, when);
    const fdl_code after = fdl_wait(handle, 0);
    expect(after == FDL_ABORTED || after == FDL_PEER_LOST, when);
    expect(std::strstr(fdl_last_error(), "allreduce \"mine ") != nullptr, fdl_last_error());
    expect(fdl_release(handle) == FDL_OK, when);
  }
};

Keeper& keeper() {
  static Keeper kept;
  return kept;
}
const Keeper& constructed_before_main = keeper();

void join_and_leave_one_in_flight() {
  Keeper& kept = keeper();
  fdl_handle* none = nullptr;
  const std::string long_name(FDL_MAX_ERROR_BYTES, 'x');  // its text goes where later ones shall
  expect(
      fdl_allreduce_async(
          nullptr, long_name.c_str(), nullptr, nullptr, 0, FDL_FLOAT64, FDL_SUM, &none) ==
          FDL_INVALID_ARGUMENT,
      "no session");
  expect(fdl_init(nullptr, &kept.session) == FDL_OK, "init");
  const std::string name = "mine " + std::to_string(fdl_rank(kept.session));
  expect(
      fdl_allreduce_async(
          kept.session, name.c_str(), &kept.in, &kept.out, 1, FDL_FLOAT64, FDL_SUM, &kept.handle) ==
          FDL_OK,
      "an operation that never ends");
  // Nobody leaves before the other has come as far; who leaves untidily may be lost while the other
  // still reads the sum.
  double sum = 0;
  const fdl_code both =
      fdl_allreduce(kept.session, "both", &kept.in, &sum, 1, FDL_FLOAT64, FDL_SUM);
  expect(both == FDL_PEER_LOST || sum == fdl_size(kept.session), "a sum over both");
}

// Runs after everything that was registered later, the library's own included.
void give_back_at_exit() {
  keeper().give_back("in a handler of atexit");
}

void start_anew_at_exit() {
  fdl_options options = FDL_OPTIONS_INIT;
  options.ignore_environment = 1;
  fdl_session* session = nullptr;
  double one = 1;
  expect(fdl_init(&options, &session) == FDL_OK, "init within exit");
  expect(
      fdl_allreduce(session, "x", &one, &one, 1, FDL_FLOAT64, FDL_SUM) == FDL_OK,
      "work within exit");
  expect(fdl_destroy(session) == FDL_OK, "destroy within exit");
}

void wait_for_ever() {
  std::thread([] { fdl_wait(keeper().handle, -1); }).detach();
}

void call_back_into_nothing() {
  const auto never = [](fdl_code, void*) {};
  expect(fdl_on_done(keeper().handle, never, nullptr) == FDL_OK, "a callback");
}

struct Ending {
  const char* name;
  void (*before_init)();
  void (*after_init)();
};

constexpr auto kNothing = [] {};
const std::array<Ending, 7> kEndings{{
    {"abandoned", kNothing, kNothing},
    {"static_destructor", kNothing, [] { keeper().tidy = true; }},
    {"atexit_before_init", [] { std::atexit(give_back_at_exit); }, kNothing},
    {"atexit_after_init", kNothing, [] { std::atexit(give_back_at_exit); }},
    {"init_within_exit", [] { std::atexit(start_anew_at_exit); }, kNothing},
    {"thread_that_waits", kNothing, wait_for_ever},
    {"callback_outstanding", kNothing, call_back_into_nothing},
}};

}  // namespace

int main(int argc, char** argv) {
  for (const Ending& ending : kEndings) {
    if (argc != 2 || std::strcmp(argv[1], ending.name) != 0)
      continue;
    ending.before_init();
    join_and_leave_one_in_flight();
    ending.after_init();
    return 0;
  }
  expect(false, "an ending is wanted as the only argument");
}

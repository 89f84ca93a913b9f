// A rank of a job in which something is going to fail. It reduces tensors step by step, checks
// every result, and tells on standard output, one JSON object a line, when the job goes (`ready`),
// when it breaks itself (`fault`), when and how it hears of a failure (`failed`), and how it ends
// (`finished`, or `wrong` where a result was). Times are nanoseconds of CLOCK_MONOTONIC, which all
// processes of a machine share.
//
//   rank BYTES PAUSE_US SEED [children]: bytes of each tensor, longest pause between two steps,
//   seed of pauses; whether it has a child like a data loader's worker
//
// Signals: SIGRTMIN throw from main, +1 exit(0) from main, +2 all ranks finish in order.

#include <farandole/farandole.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "delays.h"

namespace {

constexpr int kThrow = 1, kExit = 2, kFinish = 3;
constexpr int kWarmUp = 5;
constexpr int kGradients = 3;
constexpr time_t kChildOutlives = 2;    // seconds; far longer than a death may take to be heard of
constexpr int kFailed = 3, kWrong = 4;  // exit codes

// A signal handler can reach nothing else.
std::atomic<int> g_order{0};

void on_signal(int number) {
  g_order = number - SIGRTMIN + 1;
}

int64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out += '\\';
    out += c >= ' ' ? c : ' ';
  }
  return out + '"';
}

// One write, so that no other line gets into this one.
void say(int rank, const std::string& event, const std::string& more) {
  const std::string line = "REPORT {\"rank\": " + std::to_string(rank) +
                           ", \"event\": " + quoted(event) + ", " + more + "}\n";
  if (write(STDOUT_FILENO, line.data(), line.size()) < 0)
    std::exit(kWrong);  // nobody listens any more
}

// The process as /proc knows it: seen from outside of a pid namespace, too.
std::string outer_pid() {
  std::array<char, 32> text{};
  const ssize_t size = readlink("/proc/self", text.data(), text.size() - 1);
  return size > 0 ? std::string(text.data(), static_cast<size_t>(size)) : "-1";
}

struct Failure {
  int64_t when = 0;
  fdl_code code = FDL_OK;
  int culprit = -1;
  std::string text;
  std::string operation;
  std::string delays;

  static Failure of_last_call(fdl_code code, const std::string& operation) {
    const int64_t when = now();
    return {when, code, fdl_last_error_rank(), fdl_last_error(), operation, ::delays()};
  }
};

class Trainer {
 public:
  Trainer(fdl_session* session, size_t bytes)
      : session_(session), rank_(fdl_rank(session)), size_(fdl_size(session)) {
    for (auto& gradient : gradients_) gradient.resize(bytes / sizeof(float));
  }

  // False: a failure, or a wrong result.
  bool step(bool finish) {
    ++step_;
    float stop = finish ? 1 : 0;
    const auto value = static_cast<float>((rank_ + 1) * (1 + step_ % 5));
    for (auto& gradient : gradients_) gradient.assign(gradient.size(), value);
    const bool good = submit(&stop) && wait() && check();
    finished_ = stop > 0;
    return good;
  }

  bool finished() const { return finished_; }
  int64_t steps() const { return step_; }
  const Failure& failure() const { return failure_; }

 private:
  bool submit(float* stop) {
    std::array<fdl_request, kGradients + 1> requests;
    shapes_[0] = 1;
    requests[0] = request("stop", &shapes_[0], stop, FDL_MAX);
    for (int i = 0; i < kGradients; ++i) {
      names_[i] = "gradient/" + std::to_string(i);
      shapes_[i + 1] = static_cast<int64_t>(gradients_[i].size());
      requests[i + 1] = request(names_[i].c_str(), &shapes_[i + 1], gradients_[i].data(), FDL_SUM);
    }
    const fdl_code code = fdl_submit(session_, requests.data(), requests.size(), handles_.data());
    if (code != FDL_OK)
      failure_ = Failure::of_last_call(code, "stop");  // the first of them, as the error says
    return code == FDL_OK;
  }

  static fdl_request request(const char* name, int64_t* shape, float* data, fdl_reduce_op op) {
    fdl_request request = FDL_REQUEST_INIT;
    request.name = name;
    request.shape = shape;
    request.ndim = 1;
    request.in = request.out = data;
    request.reduce_op = op;
    return request;
  }

  // All of them: their memory is borrowed until each has settled.
  bool wait() {
    for (size_t i = 0; i < handles_.size(); ++i) {
      const fdl_code code = fdl_wait(handles_[i], -1);
      if (code != FDL_OK && failure_.code == FDL_OK)
        failure_ = Failure::of_last_call(code, i == 0 ? "stop" : names_[i - 1]);
      fdl_release(handles_[i]);
    }
    return failure_.code == FDL_OK;
  }

  bool check() const {
    const auto wanted = static_cast<float>(size_ * (size_ + 1) / 2 * (1 + step_ % 5));
    for (const auto& gradient : gradients_)
      for (const float element : gradient)
        if (element != wanted)
          return false;
    return true;
  }

  fdl_session* session_;
  int rank_, size_;
  int64_t step_ = 0;
  bool finished_ = false;
  Failure failure_;
  std::array<std::vector<float>, kGradients> gradients_;
  std::array<std::string, kGradients> names_;
  std::array<int64_t, kGradients + 1> shapes_{};
  std::array<fdl_handle*, kGradients + 1> handles_{};
};

// What became of a call after the first one that failed.
struct Later {
  int64_t took = 0;
  bool failed = true;
  int culprit = -1;

  static Later of_a_barrier(fdl_session* session) {
    const int64_t before = now();
    const bool failed = fdl_barrier(session) != FDL_OK;
    return {now() - before, failed, failed ? fdl_last_error_rank() : -1};
  }
};

void say_failure(int rank, const Failure& failure, int64_t step, const Later& later) {
  say(rank,
      "failed",
      "\"when\": " + std::to_string(failure.when) +
          ", \"code\": " + quoted(fdl_code_name(failure.code)) + ", \"culprit\": " +
          std::to_string(failure.culprit) + ", \"operation\": " + quoted(failure.operation) +
          ", \"step\": " + std::to_string(step) + ", \"text\": " + quoted(failure.text) +
          ", \"delays\": " + failure.delays + ", \"later_ns\": " + std::to_string(later.took) +
          ", \"later_failed\": " + (later.failed ? "true" : "false") +
          ", \"later_culprit\": " + std::to_string(later.culprit));
}

void obey(int rank, int order) {
  if (order != kThrow && order != kExit)
    return;
  say(rank, "fault", "\"when\": " + std::to_string(now()));
  if (order == kThrow)
    throw std::runtime_error("this rank was told to throw");
  std::exit(0);
}

// It has copies of all that is open here, and notices the end of this process late.
bool leave_a_child() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return false;
  const pid_t child = fork();
  if (child == 0) {
    close(ends[1]);
    char byte;
    const bool alone = read(ends[0], &byte, 1) == 0;
    const timespec time{kChildOutlives, 0};
    nanosleep(&time, nullptr);
    _exit(alone ? 0 : kWrong);
  }
  close(ends[0]);
  return child > 0;  // the other end is open until this process ends
}

void pause_up_to(int64_t microseconds, std::mt19937_64& random) {
  const auto pause = static_cast<long>(random() % static_cast<uint64_t>(microseconds + 1)) * 1000;
  const timespec time{pause / 1'000'000'000, pause % 1'000'000'000};
  nanosleep(&time, nullptr);  // stands for the computing between two steps
}

int train(fdl_session* session, size_t bytes, int64_t pause_us, uint64_t seed, bool with_children) {
  const int rank = fdl_rank(session);
  std::mt19937_64 random(seed * 1000 + static_cast<uint64_t>(rank));
  Trainer trainer(session, bytes);
  while (!trainer.finished()) {
    const int order = g_order;
    obey(rank, order);
    if (!trainer.step(order == kFinish)) {
      const Failure& failure = trainer.failure();
      if (failure.code == FDL_OK) {
        say(rank, "wrong", "\"step\": " + std::to_string(trainer.steps()));
        return kWrong;
      }
      say_failure(rank, failure, trainer.steps(), Later::of_a_barrier(session));
      return kFailed;
    }
    if (trainer.steps() == kWarmUp) {
      if (with_children && !leave_a_child())
        return kWrong;
      say(rank, "ready", "\"pid\": " + outer_pid());
    }
    pause_up_to(pause_us, random);
  }
  say(rank, "finished", "\"steps\": " + std::to_string(trainer.steps()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const bool with_children = argc == 5 && std::string(argv[4]) == "children";
  if (argc != 4 && !with_children)
    return 2;
  for (int i = 0; i < 3; ++i) signal(SIGRTMIN + i, on_signal);
  fdl_session* session = nullptr;
  if (const fdl_code code = fdl_init(nullptr, &session); code != FDL_OK) {
    const char* rank = getenv("FARANDOLE_RANK");
    const Failure failure = Failure::of_last_call(code, "init");
    // There is no session, and so no later call.
    say_failure(rank ? atoi(rank) : -1, failure, 0, {0, true, failure.culprit});
    return kFailed;
  }
  const int status =
      train(session, std::stoul(argv[1]), std::stol(argv[2]), std::stoull(argv[3]), with_children);
  fdl_destroy(session);
  return status;
}

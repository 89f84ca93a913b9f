// A rank of a job at one of whose failpoints something happens. It does a little of everything,
// checks each result, and tells on standard output, as one JSON object a line, that it has `joined`
// and how it ended: `finished`, `wrong` where a result was, or `failed` with code, culprit and
// text.
//
//   failpoint_rank [VICTIM SIGNAL]: a rank that sends itself this signal after a round

#include <farandole/farandole.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

constexpr int kRounds = 3;
constexpr int64_t kSmall = 7;
constexpr int64_t kLarge = (3 << 20) / sizeof(float) + 1;  // more than the slots of shared memory
constexpr int kFailed = 3, kWrong = 4;                     // exit codes
constexpr useconds_t kPause = 20'000;                      // longer than anybody spins

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
int say(int exit_code, const std::string& event, const std::string& more = "") {
  const char* const rank = std::getenv("FARANDOLE_RANK");
  const std::string line = std::string("REPORT {\"rank\": ") + (rank ? rank : "-1") +
                           ", \"event\": " + quoted(event) + more + "}\n";
  return write(STDOUT_FILENO, line.data(), line.size()) > 0 ? exit_code : kWrong;
}

int say_failure(fdl_code code) {
  const int culprit = fdl_last_error_rank();
  return say(
      kFailed,
      "failed",
      ", \"code\": " + quoted(fdl_code_name(code)) + ", \"culprit\": " + std::to_string(culprit) +
          ", \"text\": " + quoted(fdl_last_error()));
}

class Round {
 public:
  Round(fdl_session* session, int number) : session_(session), number_(number) {}

  // FDL_OK also where a result is wrong: see right().
  fdl_code run() {
    for (const int64_t elements : {kSmall, kLarge}) {
      if (const fdl_code code = reduce_two(elements); code != FDL_OK)
        return code;
    }
    if (const fdl_code code = broadcast(); code != FDL_OK)
      return code;
    if (const fdl_code code = add_in_a_set(); code != FDL_OK)
      return code;
    if (const fdl_code code = join(); code != FDL_OK)
      return code;
    return fdl_barrier(session_);
  }
  bool right() const { return right_; }

 private:
  // Two tensors at once, so that they are fused.
  fdl_code reduce_two(int64_t elements) {
    const auto count = static_cast<size_t>(elements);
    std::vector<float> first(count, static_cast<float>(fdl_rank(session_) + number_));
    std::vector<float> second(count, 1);
    fdl_request requests[2] = {FDL_REQUEST_INIT, FDL_REQUEST_INIT};
    float* const data[] = {first.data(), second.data()};
    const char* const names[] = {"first", "second"};
    for (int i = 0; i < 2; ++i) {
      requests[i].name = names[i];
      requests[i].shape = &elements;
      requests[i].ndim = 1;
      requests[i].in = requests[i].out = data[i];
      requests[i].reduce_op = FDL_SUM;
    }
    fdl_handle* handles[2] = {};
    if (const fdl_code code = fdl_submit(session_, requests, 2, handles); code != FDL_OK)
      return code;
    fdl_code code = FDL_OK;
    for (fdl_handle* handle : handles) {
      const fdl_code own = fdl_wait(handle, -1);
      code = code == FDL_OK ? own : code;
    }
    for (fdl_handle* handle : handles) fdl_release(handle);
    const int ranks = fdl_size(session_);
    expect(first, static_cast<float>(ranks * (ranks - 1) / 2 + ranks * number_), code);
    expect(second, static_cast<float>(ranks), code);
    return code;
  }

  fdl_code broadcast() {
    std::vector<float> data(kSmall, static_cast<float>(fdl_rank(session_)));
    fdl_request request = request_of("broadcast", data);
    request.kind = FDL_BROADCAST;
    request.root = 1;
    const fdl_code code = end(request);
    expect(data, 1, code);
    return code;
  }

  // Ranks 0 and 1 make a set for a sum of their own, which is gone after it.
  fdl_code add_in_a_set() {
    const int ranks[] = {0, 1};
    uint32_t set = 0;
    if (const fdl_code code = fdl_add_process_set(session_, ranks, 2, &set); code != FDL_OK)
      return code;
    if (fdl_rank(session_) <= 1) {
      std::vector<float> data(kSmall, 1);
      fdl_request request = request_of("of two", data);
      request.process_set = set;
      const fdl_code code = end(request);
      expect(data, 2, code);
      if (code != FDL_OK)
        return code;
    }
    return fdl_remove_process_set(session_, set);
  }

  // In each round another rank has nothing to add.
  fdl_code join() {
    if (fdl_rank(session_) != number_) {
      std::vector<float> data(kSmall, 1);
      const fdl_code code = end(request_of("rest", data));
      expect(data, static_cast<float>(fdl_size(session_) - 1), code);
      if (code != FDL_OK)
        return code;
    }
    int last = -1;
    const fdl_code code = fdl_join(session_, 0, &last);
    right_ = right_ && (code != FDL_OK || (last >= 0 && last < fdl_size(session_)));
    return code;
  }

  static fdl_request request_of(const char* name, std::vector<float>& data) {
    static constexpr int64_t kShape = kSmall;
    fdl_request request = FDL_REQUEST_INIT;
    request.name = name;
    request.shape = &kShape;
    request.ndim = 1;
    request.in = request.out = data.data();
    return request;
  }

  fdl_code end(const fdl_request& request) {
    fdl_handle* handle = nullptr;
    if (const fdl_code code = fdl_submit(session_, &request, 1, &handle); code != FDL_OK)
      return code;
    const fdl_code code = fdl_wait(handle, -1);
    fdl_release(handle);
    return code;
  }

  void expect(const std::vector<float>& data, float value, fdl_code code) {
    const bool as_wanted =
        std::all_of(data.begin(), data.end(), [value](float element) { return element == value; });
    right_ = right_ && (code != FDL_OK || as_wanted);
  }

  fdl_session* session_;
  int number_;
  bool right_ = true;
};

}  // namespace

int main(int argc, char** argv) {
  const int victim = argc > 2 ? std::atoi(argv[1]) : -1;
  fdl_session* session = nullptr;
  if (const fdl_code code = fdl_init(nullptr, &session); code != FDL_OK)
    return say_failure(code);
  const bool last = fdl_rank(session) == fdl_size(session) - 1;
  int status = say(0, "joined");
  for (int number = 0; number < kRounds && status == 0; ++number) {
    if (number > 0 && fdl_rank(session) == victim)
      raise(std::atoi(argv[2]));
    if (last)
      usleep(kPause);  // stands for a slower rank, for which the others wait
    Round round(session, number);
    if (const fdl_code code = round.run(); code != FDL_OK)
      status = say_failure(code);
    else if (!round.right())
      status = say(kWrong, "wrong");
  }
  fdl_destroy(session);
  return status == 0 ? say(0, "finished") : status;
}

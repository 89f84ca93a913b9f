// Measures a communicator by itself, without engine and control plane, between forked processes.
// Prints lines as the peers' benchmarks do:
//   name,ranks,bytes,median_us,p99_us,min_us,max_us,iterations
//
//   allreduce_bench --ranks 2 [--bytes 4,1024,…] [--shapes FILE] [--scale 0.5] [--name farandole]
//                   [--slot-bytes N] [--slots N] [--pin]
// --shapes reads one count of float32 per line: all of them in one operation of many segments, then
// one operation for each.
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "collectives/cpu/cpu_device.h"
#include "collectives/shm/connect.h"
#include "core/base/cgroup.h"
#include "core/base/config.h"
#include "tests/support/shared_store.h"

namespace farandole::bench {
namespace {

struct Options {
  int ranks = 2;
  std::vector<size_t> bytes{
      4, 1024, 16384, 262144, 1 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20};
  std::string shapes;
  double scale = 1;
  std::string name = "farandole-shm";
  bool pin = false;
  Config config;
};

// Memory as frameworks give it: aligned to a cache line, as a vector's is not.
class Tensor {
 public:
  explicit Tensor(size_t count)
      : count_(count), buffer_(cpu::CpuDevice().allocate(count * sizeof(float))) {
    std::fill(begin(), begin() + count, 0.0F);
  }
  float* begin() { return static_cast<float*>(buffer_.value().data.get()); }
  Segment segment() { return {begin(), begin(), count_}; }

 private:
  size_t count_;
  Result<Buffer> buffer_;
};

int iterations_for(size_t bytes, double scale) {
  const double wanted = scale * std::clamp(2e8 / (static_cast<double>(bytes) + 1e5), 5.0, 2000.0);
  return std::max(5, static_cast<int>(wanted));
}

class Rank {
 public:
  Rank(const Options& options, int index, Communicator& communicator)
      : options_(options), index_(index), communicator_(communicator) {}

  void run() {
    if (!options_.shapes.empty()) {
      run_shapes();
      return;
    }
    for (const size_t bytes : options_.bytes) run_size(bytes);
  }

 private:
  void allreduce(std::span<const Segment> segments) {
    CollectiveOp op;
    op.segments = segments;
    op.name = "bench";
    const Status status = communicator_.run(op, 0);
    if (!status) {
      std::fprintf(stderr, "member %d: %s\n", index_, status.to_string().c_str());
      std::_Exit(1);
    }
  }

  void run_size(size_t bytes) {
    const size_t count = std::max<size_t>(1, bytes / sizeof(float));
    Tensor tensor(count);
    float* data = tensor.begin();
    for (size_t i = 0; i < count; ++i)
      data[i] = static_cast<float>((index_ + 1) * static_cast<int>(1 + i % 7));
    const Segment segment = tensor.segment();
    allreduce({&segment, 1});
    const int sum = options_.ranks * (options_.ranks + 1) / 2;
    for (size_t i = 0; i < count; ++i) {
      if (data[i] != static_cast<float>(sum * static_cast<int>(1 + i % 7))) {
        std::fprintf(stderr, "member %d: wrong at %zu\n", index_, i);
        std::_Exit(1);
      }
    }
    std::fill(data, data + count, 0.0F);
    measure(options_.name, bytes, iterations_for(bytes, options_.scale), [&] {
      allreduce({&segment, 1});
    });
  }

  void run_shapes() {
    std::ifstream file(options_.shapes);
    std::vector<Tensor> tensors;
    size_t count = 0, total = 0;
    while (file >> count) {
      tensors.emplace_back(count);
      total += count * sizeof(float);
    }
    std::vector<Segment> segments;
    for (Tensor& tensor : tensors) segments.push_back(tensor.segment());
    const int rounds = std::max(5, static_cast<int>(15 * options_.scale));
    measure(options_.name + ":fused", total, rounds, [&] { allreduce(segments); });
    measure(options_.name + ":per-tensor", total, rounds, [&] {
      for (const Segment& segment : segments) allreduce({&segment, 1});
    });
  }

  void measure(
      const std::string& name, size_t bytes, int iterations, const std::function<void()>& body) {
    for (int i = 0; i < std::max(2, iterations / 5); ++i) body();
    std::vector<double> times;
    TimePoint last = steady_now();
    for (int i = 0; i < iterations; ++i) {
      body();
      const TimePoint now = steady_now();
      times.push_back(std::chrono::duration<double, std::micro>(now - last).count());
      last = now;
    }
    std::sort(times.begin(), times.end());
    const size_t n = times.size();
    if (index_ == 0)
      std::printf(
          "%s,%d,%zu,%.3f,%.3f,%.3f,%.3f,%zu\n",
          name.c_str(),
          options_.ranks,
          bytes,
          times[n / 2],
          times[std::min(n - 1, n * 99 / 100)],
          times.front(),
          times.back(),
          n);
    std::fflush(stdout);
  }

  const Options& options_;
  int index_;
  Communicator& communicator_;
};

void pin_to(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  ::sched_setaffinity(0, sizeof(set), &set);
}

int run_rank(const Options& options, int index, Store& store) {
  GroupSpec spec;
  spec.tag = "bench";
  spec.job = "bench";
  spec.index = index;
  for (int i = 0; i < options.ranks; ++i)
    spec.members.push_back({i, "host", ::getpid(), "127.0.0.1"});
  auto communicator = shm::connect(spec, store, options.config);
  if (!communicator) {
    std::fprintf(stderr, "%s\n", communicator.status().to_string().c_str());
    return 1;
  }
  if (options.pin)
    pin_to(index % static_cast<int>(usable_cores()));
  Rank(options, index, *communicator.value()).run();
  return 0;
}

int run(const Options& options) {
  testing::SharedStore store;
  std::vector<pid_t> children;
  for (int index = 1; index < options.ranks; ++index) {
    const pid_t child = ::fork();
    if (child == 0)
      std::_Exit(run_rank(options, index, store));
    children.push_back(child);
  }
  int result = run_rank(options, 0, store);
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    result = result != 0 ? result : status;
  }
  return result != 0;
}

}  // namespace
}  // namespace farandole::bench

int main(int argc, char** argv) {
  farandole::bench::Options options;
  CLI::App app("Measures the shared-memory communicator between forked processes.");
  app.add_option("--ranks", options.ranks)->check(CLI::Range(1, 64));
  app.add_option("--bytes", options.bytes)->delimiter(',');
  app.add_option("--shapes", options.shapes)->check(CLI::ExistingFile);
  app.add_option("--scale", options.scale)->check(CLI::PositiveNumber);
  app.add_option("--name", options.name);
  app.add_option("--slot-bytes", options.config.shm_slot_bytes);
  app.add_option("--slots", options.config.shm_slots);
  app.add_flag("--pin", options.pin);
  CLI11_PARSE(app, argc, argv);
  return farandole::bench::run(options);
}

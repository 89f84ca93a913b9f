#include "tests/gloo/algorithms.h"

#include <gloo/allgather.h>
#include <gloo/allgather_ring.h>
#include <gloo/allgatherv.h>
#include <gloo/allreduce.h>
#include <gloo/allreduce_bcube.h>
#include <gloo/allreduce_halving_doubling.h>
#include <gloo/allreduce_ring.h>
#include <gloo/allreduce_ring_chunked.h>
#include <gloo/alltoall.h>
#include <gloo/alltoallv.h>
#include <gloo/barrier.h>
#include <gloo/barrier_all_to_all.h>
#include <gloo/barrier_all_to_one.h>
#include <gloo/broadcast.h>
#include <gloo/broadcast_one_to_all.h>
#include <gloo/gather.h>
#include <gloo/math.h>
#include <gloo/reduce.h>
#include <gloo/reduce_scatter.h>
#include <gloo/scatter.h>

#include <algorithm>
#include <numeric>

namespace farandole::testing {
namespace {

using ContextPtr = std::shared_ptr<::gloo::Context>;
using Floats = std::vector<float>;

bool all_equal(const Floats& values, size_t begin, size_t count, float expected) {
  return std::all_of(values.begin() + begin, values.begin() + begin + count, [&](float v) {
    return v == expected;
  });
}

// Member r's input is r + 1 in every element.
struct Memory {
  Memory(ContextPtr c, size_t n, size_t in_parts, size_t out_parts)
      : context(std::move(c)),
        n(n),
        in(n * in_parts, static_cast<float>(context->rank + 1)),
        out(n * out_parts, -1.f) {}
  float sum() const {
    const auto size = static_cast<float>(context->size);
    return size * (size + 1) / 2;
  }
  // Part r of `out` is member r's.
  bool gathered() const {
    for (int r = 0; r < context->size; ++r)
      if (!all_equal(out, n * r, n, static_cast<float>(r + 1)))
        return false;
    return true;
  }
  ContextPtr context;
  size_t n;
  Floats in, out;
};

// What runs an algorithm on a memory that stays where it is.
using Run = std::function<void()>;

class Function final : public AlgorithmRun {
 public:
  using Start = std::function<Run(Memory&)>;
  using Check = std::function<bool(const Memory&)>;
  Function(Memory memory, const Start& start, Check check, bool in_place)
      : memory_(std::move(memory)),
        check_(std::move(check)),
        in_place_(in_place),
        run_(start(memory_)) {}
  Function(const Function&) = delete;
  Function& operator=(const Function&) = delete;

  void prepare() override {
    if (in_place_)
      std::copy(memory_.in.begin(), memory_.in.end(), memory_.out.begin());
  }
  void run() override { run_(); }
  bool right() const override { return check_(memory_); }

 private:
  Memory memory_;
  const Check check_;
  const bool in_place_;
  const Run run_;
};

bool out_is_sum(const Memory& m) {
  return all_equal(m.out, 0, m.n, m.sum());
}
bool anything(const Memory&) {
  return true;
}

Algorithm started(
    std::string name,
    Function::Start start,
    Function::Check check,
    bool many_in,
    bool many_out,
    bool in_place) {
  return {std::move(name), [=](ContextPtr context, size_t n) {
            const size_t size = static_cast<size_t>(context->size);
            Memory memory(std::move(context), n, many_in ? size : 1, many_out ? size : 1);
            return std::make_unique<Function>(std::move(memory), start, check, in_place);
          }};
}

using Step = std::function<void(Memory&)>;

Algorithm function(
    std::string name,
    Step step,
    Function::Check check,
    bool many_in = false,
    bool many_out = false) {
  const auto start = [step = std::move(step)](Memory& m) -> Run { return [&m, step] { step(m); }; };
  return started(std::move(name), start, std::move(check), many_in, many_out, false);
}

void allreduce(Memory& m, ::gloo::AllreduceOptions::Algorithm algorithm) {
  ::gloo::AllreduceOptions options(m.context);
  options.setAlgorithm(algorithm);
  options.setInput(m.in.data(), m.n);
  options.setOutput(m.out.data(), m.n);
  using Sum = void (*)(void*, const void*, const void*, size_t);
  options.setReduceFunction(static_cast<Sum>(&::gloo::sum<float>));
  ::gloo::allreduce(options);
}

std::vector<Algorithm> newer() {
  std::vector<Algorithm> all;
  all.push_back(function(
      "AllreduceRing",
      [](Memory& m) { allreduce(m, ::gloo::AllreduceOptions::Algorithm::RING); },
      out_is_sum));
  all.push_back(function(
      "AllreduceBcube",
      [](Memory& m) { allreduce(m, ::gloo::AllreduceOptions::Algorithm::BCUBE); },
      out_is_sum));
  all.push_back(function(
      "Allgather",
      [](Memory& m) {
        ::gloo::AllgatherOptions options(m.context);
        options.setInput(m.in.data(), m.n);
        options.setOutput(m.out.data(), m.out.size());
        ::gloo::allgather(options);
      },
      [](const Memory& m) { return m.gathered(); },
      false,
      true));
  all.push_back(function(
      "Allgatherv",
      [](Memory& m) {
        ::gloo::AllgathervOptions options(m.context);
        options.setInput(m.in.data(), m.n);
        options.setOutput(m.out.data(), std::vector<size_t>(m.context->size, m.n));
        ::gloo::allgatherv(options);
      },
      [](const Memory& m) { return m.gathered(); },
      false,
      true));
  all.push_back(function(
      "Alltoall",
      [](Memory& m) {
        ::gloo::AlltoallOptions options(m.context);
        options.setInput(m.in.data(), m.in.size());
        options.setOutput(m.out.data(), m.out.size());
        ::gloo::alltoall(options);
      },
      [](const Memory& m) { return m.gathered(); },
      true,
      true));
  all.push_back(function(
      "Alltoallv",
      [](Memory& m) {
        const std::vector<int64_t> parts(m.context->size, static_cast<int64_t>(m.n));
        ::gloo::AlltoallvOptions options(m.context);
        options.setInput(m.in.data(), parts);
        options.setOutput(m.out.data(), parts);
        ::gloo::alltoallv(options);
      },
      [](const Memory& m) { return m.gathered(); },
      true,
      true));
  return all;
}

std::vector<Algorithm> rooted() {
  std::vector<Algorithm> all;
  all.push_back(function(
      "Broadcast",
      [](Memory& m) {
        ::gloo::BroadcastOptions options(m.context);
        options.setRoot(0);
        if (m.context->rank == 0)
          options.setInput(m.in.data(), m.n);
        options.setOutput(m.out.data(), m.n);
        ::gloo::broadcast(options);
      },
      [](const Memory& m) { return all_equal(m.out, 0, m.n, 1.f); }));
  all.push_back(function(
      "Gather",
      [](Memory& m) {
        ::gloo::GatherOptions options(m.context);
        options.setRoot(0);
        options.setInput(m.in.data(), m.n);
        if (m.context->rank == 0)
          options.setOutput(m.out.data(), m.out.size());
        ::gloo::gather(options);
      },
      [](const Memory& m) { return m.context->rank != 0 || m.gathered(); },
      false,
      true));
  all.push_back(function(
      "Scatter",
      [](Memory& m) {
        ::gloo::ScatterOptions options(m.context);
        options.setRoot(0);
        if (m.context->rank == 0) {
          std::vector<float*> parts;
          for (int r = 0; r < m.context->size; ++r) parts.push_back(m.in.data() + m.n * r);
          options.setInputs(parts, m.n);
        }
        options.setOutput(m.out.data(), m.n);
        ::gloo::scatter(options);
      },
      [](const Memory& m) { return all_equal(m.out, 0, m.n, 1.f); },
      true));
  all.push_back(function(
      "Reduce",
      [](Memory& m) {
        ::gloo::ReduceOptions options(m.context);
        options.setRoot(0);
        options.setInput(m.in.data(), m.n);
        options.setOutput(m.out.data(), m.n);
        using Sum = void (*)(void*, const void*, const void*, size_t);
        options.setReduceFunction(static_cast<Sum>(&::gloo::sum<float>));
        ::gloo::reduce(options);
      },
      [](const Memory& m) { return m.context->rank != 0 || out_is_sum(m); }));
  all.push_back(function(
      "Barrier",
      [](Memory& m) {
        ::gloo::BarrierOptions options(m.context);
        ::gloo::barrier(options);
      },
      anything));
  return all;
}

// The older interface makes an object on every member, with registered buffers, to be run again and
// again.
template <typename Make>
Algorithm older(
    std::string name,
    Make make,
    Function::Check check,
    bool many_out = false,
    bool in_place = true) {
  const auto start = [make](Memory& m) -> Run {
    const std::shared_ptr<::gloo::Algorithm> object = make(m);
    return [object] { object->run(); };
  };
  return started(std::move(name), start, std::move(check), false, many_out, in_place);
}

template <typename A>
Algorithm older_allreduce(std::string name) {
  return older(
      std::move(name),
      [](Memory& m) {
        return std::make_unique<A>(
            m.context, std::vector<float*>{m.out.data()}, static_cast<int>(m.n));
      },
      out_is_sum);
}

std::vector<Algorithm> older_ones() {
  std::vector<Algorithm> all;
  all.push_back(older_allreduce<::gloo::AllreduceRing<float>>("OldAllreduceRing"));
  all.push_back(older_allreduce<::gloo::AllreduceRingChunked<float>>("OldAllreduceRingChunked"));
  all.push_back(
      older_allreduce<::gloo::AllreduceHalvingDoubling<float>>("OldAllreduceHalvingDoubling"));
  all.push_back(older_allreduce<::gloo::AllreduceBcube<float>>("OldAllreduceBcube"));
  all.push_back(older(
      "OldBroadcastOneToAll",
      [](Memory& m) {
        return std::make_unique<::gloo::BroadcastOneToAll<float>>(
            m.context, std::vector<float*>{m.out.data()}, m.n);
      },
      [](const Memory& m) { return all_equal(m.out, 0, m.n, 1.f); }));
  all.push_back(older(
      "OldAllgatherRing",
      [](Memory& m) {
        return std::make_unique<::gloo::AllgatherRing<float>>(
            m.context, std::vector<const float*>{m.in.data()}, m.out.data(), static_cast<int>(m.n));
      },
      [](const Memory& m) { return m.gathered(); },
      true,
      false));
  all.push_back(older(
      "OldReduceScatterHalvingDoubling",
      [](Memory& m) {
        std::vector<int> parts(m.context->size, static_cast<int>(m.n) / m.context->size);
        parts[0] += static_cast<int>(m.n) % m.context->size;
        return std::make_unique<::gloo::ReduceScatterHalvingDoubling<float>>(
            m.context, std::vector<float*>{m.out.data()}, static_cast<int>(m.n), parts);
      },
      [](const Memory& m) { return m.n < 4 || m.out[0] == m.sum(); }));
  all.push_back(older(
      "OldBarrierAllToAll",
      [](Memory& m) { return std::make_unique<::gloo::BarrierAllToAll>(m.context); },
      anything));
  all.push_back(older(
      "OldBarrierAllToOne",
      [](Memory& m) { return std::make_unique<::gloo::BarrierAllToOne>(m.context); },
      anything));
  return all;
}

}  // namespace

const std::vector<Algorithm>& algorithms() {
  static const std::vector<Algorithm> all = [] {
    std::vector<Algorithm> list = newer();
    for (Algorithm& a : rooted()) list.push_back(std::move(a));
    for (Algorithm& a : older_ones()) list.push_back(std::move(a));
    return list;
  }();
  return all;
}

std::vector<size_t> in_several_steps() {
  std::vector<size_t> places;
  for (size_t i = 0; i < algorithms().size(); ++i) {
    const std::string& name = algorithms()[i].name;
    if (name.find("Bcube") != std::string::npos || name.find("Halving") != std::string::npos)
      places.push_back(i);
  }
  return places;
}

}  // namespace farandole::testing

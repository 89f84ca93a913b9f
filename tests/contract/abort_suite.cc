#include "tests/contract/abort_suite.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <thread>

#include "core/base/format.h"
#include "tests/contract/group.h"
#include "tests/contract/suite_test.h"
#include "tests/support/reaction.h"

namespace farandole::testing {
namespace {

using namespace std::chrono_literals;

constexpr Duration kAbortLimit = promised(100ms);
#ifdef FARANDOLE_SANITIZED
constexpr size_t kMostBytes = 4 << 20;
#else
constexpr size_t kMostBytes = 64 << 20;
#endif

// What is done: a kind and, where it reduces, how.
struct What {
  CollectiveKind kind;
  ReduceOp reduce = ReduceOp::Sum;
  std::string to_string() const { return is_elementwise(reduce) ? name_of(kind) : name_of(reduce); }
};

// Memory and counts of one rank for an operation of about `bytes` of float32.
struct Load {
  Load(What what, int size, size_t bytes) : size_(static_cast<size_t>(size)) {
    const CollectiveKind kind = what.kind;
    const size_t elements = std::max<size_t>(1, bytes / sizeof(float));
    const bool divides = kind == CollectiveKind::Reducescatter ||
                         kind == CollectiveKind::Alltoall || kind == CollectiveKind::Scatter;
    const size_t part = divides ? std::max<size_t>(1, elements / size_) : elements;
    const size_t out = gathers(kind) ? part * size_ : part * (divides ? size_ : 1);
    in_.resize(divides ? part * size_ : part, 1.0F);
    out_.resize(out);
    segment_ = {in_.data(), out_.data(), part};
    op_.kind = kind;
    op_.reduce = what.reduce;
    op_.root = ends_at_root(kind) ? 0 : size - 1;
    if (kind != CollectiveKind::Barrier)
      op_.segments = {&segment_, 1};
    if (divides || gathers(kind))
      counts_.assign(kind == CollectiveKind::Alltoall ? size_ * size_ : size_, part);
    op_.counts = counts_;
    op_.name = "load";
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  const CollectiveOp& op() const { return op_; }

 private:
  size_t size_;
  std::vector<float> in_, out_;
  std::vector<size_t> counts_;
  Segment segment_;
  CollectiveOp op_;
};

// Lets the main thread wait until ranks have come so far.
class Progress {
 public:
  void advance() {
    const MutexLock lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  bool reaches(int wanted, Duration within) {
    const TimePoint deadline = steady_now() + within;
    const MutexLock lock(mutex_);
    while (count_ < wanted) {
      if (!changed_.wait_until(mutex_, deadline) && count_ < wanted)
        return false;
    }
    return true;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int count_ FARANDOLE_GUARDED_BY(mutex_) = 0;
};

// Aborts all of `group` from this thread once `ready` says so; checks how long each rank took to
// return, and with what.
void expect_quick_abort(
    Group& group,
    const ThreadCluster::Body& body,
    Progress& progress,
    int ready,
    const std::string& what) {
  std::vector<Status> statuses;
  Reaction reaction(kAbortLimit);
  std::thread ranks([&] {
    statuses = group.run_each([&](int rank) {
      Status status = body(rank);
      reaction.returned();
      return status;
    });
  });
  EXPECT_TRUE(progress.reaches(ready, 20s)) << what;
  const Status why = Status(Code::PeerLost, "told by the test").blame(3);
  reaction.begin();
  for (int i = 0; i < group.size(); ++i) group.at(i).abort(why);
  reaction.told();
  ranks.join();
  EXPECT_EQ(reaction.complaint(), "") << what;
  std::printf(
      "  abort of %s returned after %.2f ms\n",
      what.c_str(),
      std::chrono::duration<double, std::milli>(reaction.slowest()).count());
  for (size_t i = 0; i < statuses.size(); ++i) {
    EXPECT_EQ(statuses[i], why) << what << ", member " << i << ": " << statuses[i].to_string();
    EXPECT_EQ(group.at(static_cast<int>(i)).run(CollectiveOp{CollectiveKind::Barrier}, 0), why);
  }
}

std::vector<size_t> abort_bytes(const Backend& backend, CollectiveKind kind) {
  if (kind == CollectiveKind::Barrier)
    return {0};
  std::vector<size_t> bytes = {4, 4096, 256 << 10, 4 << 20, 64 << 20};
  const size_t most = std::min(kMostBytes, backend.most_abort_bytes);
  std::erase_if(bytes, [most](size_t size) { return size > most; });
  return bytes;
}

// Made and freed outside of what is timed.
std::vector<std::unique_ptr<Load>> make_loads(What what, int size, size_t bytes) {
  std::vector<std::unique_ptr<Load>> loads;
  for (int rank = 0; rank < size; ++rank)
    loads.push_back(std::make_unique<Load>(what, size, bytes));
  return loads;
}

// Everybody moves data without a pause until the abort comes.
void abort_in_motion(const Backend& backend, What what, int size) {
  for (const size_t bytes : abort_bytes(backend, what.kind)) {
    const auto loads = make_loads(what, size, bytes);
    Group group(backend, size, Config{});
    ASSERT_TRUE(group.connected().is_ok()) << group.connected().to_string();
    Progress progress;
    expect_quick_abort(
        group,
        [&](int rank) {
          for (;;) {
            const Status status = group.at(rank).run(loads[static_cast<size_t>(rank)]->op(), 0);
            if (!status)
              return status;
            progress.advance();
          }
        },
        progress,
        size,
        fmt::format("{} of {} B in motion", what.to_string(), bytes));
  }
}

// Whether the member, where the last one never comes, cannot be done before: who only gives to the
// root, which is member 0 here, need not wait for anybody.
bool waits(CollectiveKind kind, int rank) {
  return !ends_at_root(kind) || rank == 0;
}

// One member never comes; the others wait for it.
void abort_while_waiting(const Backend& backend, What what, int size) {
  for (const size_t bytes : abort_bytes(backend, what.kind)) {
    const auto loads = make_loads(what, size, bytes);
    Group group(backend, size, Config{});
    ASSERT_TRUE(group.connected().is_ok()) << group.connected().to_string();
    Progress progress;
    const Status why = Status(Code::PeerLost, "told by the test").blame(3);
    expect_quick_abort(
        group,
        [&](int rank) {
          if (rank == size - 1)
            return why;
          progress.advance();
          if (!waits(what.kind, rank))
            return why;
          return group.at(rank).run(loads[static_cast<size_t>(rank)]->op(), 0);
        },
        progress,
        size - 1,
        fmt::format("{} of {} B waiting", what.to_string(), bytes));
  }
}

// An absent member is named once nothing has moved for data_timeout.
void name_the_absent(const Backend& backend, What what, int size) {
  Config config = backend.config;
  config.data_timeout = 300ms;
  Group group(backend, size, config);
  ASSERT_TRUE(group.connected().is_ok()) << group.connected().to_string();
  const TimePoint start = steady_now();
  const auto statuses = group.run_each([&](int rank) {
    Load load(what, size, 256 << 10);
    return rank == size - 1 ? Status::ok() : group.at(rank).run(load.op(), 0);
  });
  EXPECT_LT(steady_now() - start, 20s);
  const std::string absent = fmt::format("rank {}", rank_of_member(size - 1));
  bool named = false;
  for (int rank = 0; rank + 1 < size; ++rank) {
    const Status& status = statuses[static_cast<size_t>(rank)];
    if (!waits(what.kind, rank))
      continue;
    EXPECT_TRUE(status.code() == Code::Timeout || status.code() == Code::PeerLost)
        << status.to_string();
    named = named || status.message().find(absent) != std::string::npos;
    EXPECT_EQ(group.at(rank).run(CollectiveOp{CollectiveKind::Barrier}, 0), status)
        << "a failed communicator stays failed";
  }
  EXPECT_TRUE(named) << "want " << absent << " in: " << statuses[0].to_string();
}

void first_abort_wins(const Backend& backend) {
  Group group(backend, backend.sizes.back(), backend.config);
  ASSERT_TRUE(group.connected().is_ok()) << group.connected().to_string();
  const Status first(Code::Aborted, "first"), second(Code::PeerLost, "second");
  group.at(0).abort(first);
  group.at(0).abort(second);
  EXPECT_EQ(group.at(0).run(CollectiveOp{CollectiveKind::Barrier}, 0), first);
}

}  // namespace

void join_abort_contract(const std::shared_ptr<const Backend>& backend) {
  const std::string suite = backend->name + "Contract";
  register_suite_test(suite, "first_abort_wins", [=] { first_abort_wins(*backend); });
  std::vector<What> all{{CollectiveKind::Allreduce, ReduceOp::Adasum}};
  for (int k = 0; k < kCollectiveKindCount; ++k) all.push_back({static_cast<CollectiveKind>(k)});
  for (const What what : all) {
    for (const int size : {2, 3}) {
      if (std::count(backend->sizes.begin(), backend->sizes.end(), size) == 0)
        continue;
      const std::string test = what.to_string() + "_" + std::to_string(size);
      register_suite_test(
          suite, "abort_in_motion_" + test, [=] { abort_in_motion(*backend, what, size); });
      register_suite_test(
          suite, "abort_while_waiting_" + test, [=] { abort_while_waiting(*backend, what, size); });
      register_suite_test(
          suite, "name_the_absent_" + test, [=] { name_the_absent(*backend, what, size); });
    }
  }
}

}  // namespace farandole::testing

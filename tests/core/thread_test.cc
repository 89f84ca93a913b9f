// Threads that are started together are bound together.

#include "core/base/thread.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <cerrno>
#include <functional>
#include <future>

namespace farandole {
namespace {

CpuSet usable() {
  const auto own = own_affinity();
  EXPECT_TRUE(own);
  return own.value();
}

// A thread that tells, when it is told to, where it may run.
class Teller {
 public:
  explicit Teller(std::function<CpuSet()> tell = usable)
      : thread_(start_thread("teller", [this, tell = std::move(tell)] {
          ask_.get_future().wait();
          answer_.set_value(tell());
        })) {}

  CpuSet answer() {
    ask_.set_value();
    CpuSet cpus = answer_.get_future().get();
    thread_.join();
    return cpus;
  }

 private:
  std::promise<void> ask_;
  std::promise<CpuSet> answer_;
  std::thread thread_;
};

TEST(StartedThreads, AreBoundAndNoOthers) {
  const CpuSet all = usable();
  const CpuSet last{*all.rbegin()};
  Teller before;
  StartedThreads started;
  Teller one;
  Teller other([] { return Teller().answer(); });  // of a thread that it starts
  EXPECT_EQ(started.bind(last), 0);
  EXPECT_EQ(one.answer(), last);
  EXPECT_EQ(other.answer(), last);
  EXPECT_EQ(before.answer(), all);
  EXPECT_EQ(usable(), all);
}

TEST(StartedThreads, OfWhichTheLatestCounts) {
  const CpuSet all = usable();
  const CpuSet last{*all.rbegin()};
  StartedThreads outer;
  Teller first;
  {
    StartedThreads inner;
    Teller second;
    EXPECT_EQ(inner.bind(last), 0);
    EXPECT_EQ(second.answer(), last);
  }
  EXPECT_EQ(first.answer(), all);
  Teller third;
  EXPECT_EQ(outer.bind(last), 0);
  EXPECT_EQ(third.answer(), last);
}

TEST(StartedThreads, MayHaveEnded) {
  StartedThreads started;
  for (int i = 0; i < 20; ++i) Teller().answer();
  EXPECT_EQ(started.bind({*usable().begin()}), 0);
}

TEST(StartedThreads, AreNotBoundToWhatIsNotThere) {
  const CpuSet all = usable();
  StartedThreads started;
  Teller one;
  EXPECT_EQ(started.bind({(1 << 20) - 1}), EINVAL);
  EXPECT_EQ(started.bind({1 << 20}), EINVAL);
  EXPECT_EQ(started.bind({}), EINVAL);
  EXPECT_EQ(one.answer(), all);
}

}  // namespace
}  // namespace farandole

// The measure of promises in time: what does not obey fails it, also on cores that are busy; what
// obeys passes it there, too.
#include "tests/support/reaction.h"

#include <gtest/gtest.h>
#include <time.h>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

namespace farandole::testing {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLimit = 100ms;

// Keeps every core busy four times over.
class BusyCores {
 public:
  BusyCores() {
    for (unsigned i = 0; i < 4 * std::thread::hardware_concurrency(); ++i)
      threads_.emplace_back([this] {
        while (!stop_) {
        }
      });
  }
  ~BusyCores() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  BusyCores(const BusyCores&) = delete;
  BusyCores& operator=(const BusyCores&) = delete;

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

Duration computed() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + Duration(used.tv_nsec);
}

// One thread tells another, which runs `disobey` before it returns.
class Told {
 public:
  explicit Told(const std::function<void(const Told&)>& disobey) {
    std::thread told([&] {
      {
        MutexLock lock(mutex_);
        while (!end_) changed_.wait(mutex_);
      }
      disobey(*this);
      reaction_.returned();
    });
    reaction_.begin();
    {
      MutexLock lock(mutex_);
      end_ = true;
      changed_.notify_all();
    }
    reaction_.told();
    telling_ = teller_.total().count();
    told.join();
  }

  std::string complaint() const { return reaction_.complaint(); }
  // What may excuse the thread that was told, but for what it waits for a core itself; endless
  // until that is known.
  Duration excuse_of_others() const {
    const int64_t telling = telling_;
    return telling < 0 ? Duration::max() / 2 : Duration(telling) + stolen_.total();
  }

 private:
  Reaction reaction_{kLimit};
  const StolenWatch stolen_;
  const DelayWatch teller_;
  std::atomic<int64_t> telling_{-1};
  Mutex mutex_;
  CondVar changed_;
  bool end_ FARANDOLE_GUARDED_BY(mutex_) = false;
};

void spin(const Told& told) {
  const Duration before = computed();
  while (computed() - before < 2 * kLimit + told.excuse_of_others()) {
  }
}

TEST(Reaction, WhoObeysPasses) {
  EXPECT_EQ(Told([](const Told&) {}).complaint(), "");
}

TEST(Reaction, WhoObeysPassesOnBusyCores) {
  const BusyCores busy;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Told([](const Told&) {}).complaint(), "");
}

TEST(Reaction, WhoSpinsFails) {
  EXPECT_NE(Told(spin).complaint(), "");
}

TEST(Reaction, WhoSpinsFailsOnBusyCores) {
  const BusyCores busy;
  EXPECT_NE(Told(spin).complaint(), "");
}

TEST(Reaction, WhoSleepsFailsOnBusyCores) {
  const BusyCores busy;
  const auto sleep = [](const Told&) {
    std::this_thread::sleep_for(kLimit + kMostExcused);  // what is judged
  };
  EXPECT_NE(Told(sleep).complaint(), "");
}

// However long a thread stands ready: beyond a second nothing is excused.
TEST(Reaction, AnExcuseHasAnEnd) {
  const StolenWatch stolen;
  EXPECT_EQ(excused(60s, stolen), kMostExcused);
  EXPECT_EQ(complaint(1099ms, kLimit, excused(60s, stolen)), "");
  EXPECT_NE(complaint(1100ms, kLimit, excused(60s, stolen)), "");
}

TEST(Reaction, NobodyReturnedIsAFailure) {
  Reaction reaction(kLimit);
  reaction.returned();
  reaction.begin();
  reaction.told();
  EXPECT_EQ(reaction.complaint(), "nobody returned");
}

}  // namespace
}  // namespace farandole::testing

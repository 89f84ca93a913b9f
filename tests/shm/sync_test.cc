#include "collectives/shm/sync.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace farandole::shm {
namespace {

using namespace std::chrono_literals;
using Outcome = FlagBarrier::Outcome;

class Barriers {
 public:
  Barriers(uint32_t members, WaitPolicy policy, Duration patience) : lines_(members) {
    for (uint32_t i = 0; i < members; ++i)
      barriers_.push_back(std::make_unique<FlagBarrier>(lines_, i, policy, patience));
  }
  FlagBarrier& at(uint32_t member) { return *barriers_[member]; }
  RankLines& lines(uint32_t member) { return lines_[member]; }

 private:
  std::vector<RankLines> lines_;
  std::vector<std::unique_ptr<FlagBarrier>> barriers_;
};

constexpr WaitPolicy kSleeps{Duration(0), 0};

// Each member counts its steps where all can see it; in a step nobody is more than one ahead.
void keep_step(uint32_t members, WaitPolicy policy) {
  constexpr uint64_t kSteps = 3000;
  Barriers barriers(members, policy, 20s);
  std::vector<std::atomic<uint64_t>> counts(members);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < members; ++i) {
    threads.emplace_back([&, i] {
      for (uint64_t step = 1; step <= kSteps; ++step) {
        counts[i].store(step, std::memory_order_relaxed);
        if (barriers.at(i).pass() != Outcome::Passed)
          ++wrong;
        for (const auto& count : counts) {
          const uint64_t seen = count.load(std::memory_order_relaxed);
          if (seen < step || seen > step + 1)
            ++wrong;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(barriers.at(0).step(), kSteps);
}

TEST(FlagBarrier, KeepsStepAsleep) {
  keep_step(4, kSleeps);
}
TEST(FlagBarrier, KeepsStepYielding) {
  keep_step(4, {Duration(0), 20});
}
TEST(FlagBarrier, KeepsStepSpinning) {
  keep_step(2, {20us, 0});
}
TEST(FlagBarrier, OfOneNeverWaits) {
  keep_step(1, kSleeps);
}

TEST(FlagBarrier, InterruptWakesASleeper) {
  Barriers barriers(2, kSleeps, 60s);
  std::thread sleeper([&] { EXPECT_EQ(barriers.at(0).pass(), Outcome::Interrupted); });
  // The sleeper says whom it waits for just before it sleeps.
  while (barriers.lines(0).bell.awaited.load() == 0) std::this_thread::yield();
  const TimePoint start = steady_now();
  barriers.at(0).interrupt();
  sleeper.join();
  EXPECT_LT(steady_now() - start, 30s) << "not by its deadline";
  EXPECT_TRUE(barriers.at(0).interrupted());
  EXPECT_EQ(barriers.at(0).pass(), Outcome::Interrupted);
}

TEST(FlagBarrier, NamesWhoDidNotCome) {
  Barriers barriers(3, kSleeps, 200ms);
  std::thread other([&] { EXPECT_EQ(barriers.at(1).pass(), Outcome::TimedOut); });
  const TimePoint start = steady_now();
  EXPECT_EQ(barriers.at(0).pass(), Outcome::TimedOut);
  EXPECT_GE(steady_now() - start, 200ms);
  other.join();
  EXPECT_EQ(barriers.at(0).missing(), std::vector<uint32_t>{2});
}

TEST(FlagBarrier, IsPatientWhileOthersMove) {
  Barriers barriers(3, kSleeps, 2s);
  // Member 1 moves every 300 ms (its flag rises as if in steps of its own), member 2 comes late.
  std::thread others([&] {
    for (int i = 0; i < 8; ++i) {
      std::this_thread::sleep_for(300ms);
      barriers.lines(1).flag.step.fetch_add(1);
    }
    EXPECT_EQ(barriers.at(2).pass(), Outcome::Passed);
  });
  EXPECT_EQ(barriers.at(0).pass(), Outcome::Passed);
  others.join();
}

TEST(WaitPolicy, SpinsOnlyWithACoreForEach) {
  EXPECT_EQ(WaitPolicy::choose(2, 2, 50us).spin, 50us);
  EXPECT_EQ(WaitPolicy::choose(2, 2, 50us).yields, 0);
  EXPECT_EQ(WaitPolicy::choose(2, 3, 50us).spin, Duration(0));
  EXPECT_GT(WaitPolicy::choose(1.5, 2, 50us).yields, 0);
}

}  // namespace
}  // namespace farandole::shm

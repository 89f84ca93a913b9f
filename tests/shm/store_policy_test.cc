#include "collectives/shm/store_policy.h"

#include "gtest/gtest.h"

namespace farandole::shm {
namespace {

using Policy = cpu::StorePolicy;
constexpr size_t kBytes = 4 << 20;

// A machine on which a policy costs so many picoseconds per byte.
struct Mood {
  Duration handoff;
  int64_t plain, streaming;
};
constexpr Mood kNear{Duration(60), 40, 70};
constexpr Mood kFar{Duration(300), 600, 55};

// Runs operations; returns how many used `policy`.
int run(StoreTuner& tuner, const Mood& mood, int operations, Policy policy) {
  int used = 0;
  for (int i = 0; i < operations; ++i) {
    tuner.observe_handoff(mood.handoff);
    const Policy chosen = tuner.choose(kBytes);
    const int64_t cost = chosen == Policy::Plain ? mood.plain : mood.streaming;
    tuner.report(kBytes, Duration(static_cast<int64_t>(kBytes) * cost / 1000));
    used += chosen == policy ? 1 : 0;
  }
  return used;
}

TEST(StoreTuner, LearnsWhatIsCheaper) {
  StoreTuner near, far;
  EXPECT_GE(run(near, kNear, 1000, Policy::Plain), 970);
  EXPECT_GE(run(far, kFar, 1000, Policy::NonTemporal), 990);
}

TEST(StoreTuner, RemembersEachMood) {
  StoreTuner tuner;
  run(tuner, kNear, 100, Policy::Plain);
  run(tuner, kFar, 100, Policy::Plain);
  for (int i = 0; i < 20; ++i) {
    EXPECT_GE(run(tuner, kNear, 20, Policy::Plain), 19);
    EXPECT_GE(run(tuner, kFar, 20, Policy::NonTemporal), 19);
  }
}

TEST(StoreTuner, NoticesThatCostsChanged) {
  StoreTuner tuner;
  run(tuner, {Duration(60), 40, 70}, 500, Policy::Plain);
  // The same latency, but now streaming is the cheaper one: the retries find it.
  run(tuner, {Duration(60), 80, 35}, 2000, Policy::NonTemporal);
  EXPECT_GE(run(tuner, {Duration(60), 80, 35}, 500, Policy::NonTemporal), 480);
}

TEST(StoreTuner, OneDisturbedSampleChangesNothing) {
  StoreTuner tuner;
  run(tuner, kNear, 100, Policy::Plain);
  for (int i = 0; i < 3; ++i) {
    tuner.choose(kBytes);
    tuner.report(kBytes, kNear.plain * Duration(kBytes) / 1000 * 3);
  }
  run(tuner, kNear, 10, Policy::Plain);
  EXPECT_GE(run(tuner, kNear, 100, Policy::Plain), 97);
}

TEST(StoreTuner, TakesAnySizeAndLatency) {
  StoreTuner tuner;
  for (const int64_t latency : {int64_t{0}, int64_t{1}, int64_t{1} << 40}) {
    for (const size_t bytes : {size_t{1}, size_t{1} << 45}) {
      tuner.observe_handoff(Duration(latency));
      tuner.choose(bytes);
      tuner.report(bytes, Duration(0));
    }
  }
}

}  // namespace
}  // namespace farandole::shm

// The walk of docs/architecture.md through what users run: two sessions over the TCP control plane,
// with the communicators of shared memory and of Gloo.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

#include "core/session.h"
#include "tests/support/session_cluster.h"

namespace farandole {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;

struct Step {
  EventKind kind;
  std::string thread;  // its name
};

std::string thread_name() {
  std::array<char, 32> name{};
  pthread_getname_np(pthread_self(), name.data(), name.size());
  return name.data();
}

// Of one rank, but for what is no step of a tensor.
class Recorder final : public Observer {
 public:
  void on(const Event& event) noexcept override {
    if (event.kind == EventKind::Round)
      return;  // of all its tensors, and of none
    if (event.kind == EventKind::PeerFailed)
      return;  // the other rank may leave while this one still finishes
    MutexLock lock(mutex_);
    steps_.push_back({event.kind, thread_name()});
  }
  std::vector<Step> steps() {
    MutexLock lock(mutex_);
    return steps_;
  }

 private:
  Mutex mutex_;
  std::vector<Step> steps_ FARANDOLE_GUARDED_BY(mutex_);
};

class RealWalk : public ::testing::TestWithParam<CommunicatorChoice> {};

void walk(Session& session, Recorder& recorder, int rank) {
  std::vector<float> values{1.0F + static_cast<float>(rank), 2};
  Request request;
  request.name = "gradient";
  request.signature.shape = {2};
  request.in = request.out = values.data();
  auto tickets = session.submit({request});
  ASSERT_TRUE(tickets) << tickets.status().message();
  ASSERT_TRUE(session.wait_until(*tickets.value()[0], steady_now() + std::chrono::seconds(60)));
  EXPECT_TRUE(tickets.value()[0]->status().is_ok());
  EXPECT_THAT(values, ElementsAre(3, 4));

  const std::vector<Step> steps = recorder.steps();
  std::vector<EventKind> kinds;
  for (const Step& step : steps) kinds.push_back(step.kind);
  ASSERT_THAT(
      kinds,
      ElementsAre(
          EventKind::Submitted,
          EventKind::Announced,
          EventKind::Agreed,
          EventKind::BucketStart,
          EventKind::BucketEnd,
          EventKind::Settled));
  EXPECT_EQ(steps[0].thread, "caller") << "submitted by the caller";
  EXPECT_EQ(steps[1].thread, "fdl-io") << "announced where the sockets are";
  EXPECT_EQ(steps[2].thread, "fdl-io") << "agreed there, too";
  EXPECT_THAT(steps[3].thread, AnyOf("caller", "fdl-lane-0")) << "moved by who waits, or the lane";
  EXPECT_EQ(steps[5].thread, steps[3].thread) << "settled where it moved";
}

TEST_P(RealWalk, FollowsATensorFromTheCallerToItsTicket) {
  const testing::TestJob job;
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < 2; ++rank) {
    ranks.emplace_back([&, rank] {
      pthread_setname_np(pthread_self(), "caller");
      Config config = job.config(rank, 2);
      config.communicator = GetParam();
      const auto recorder = std::make_shared<Recorder>();
      auto session = make_session(config, {recorder});
      ASSERT_TRUE(session) << session.status().message();
      walk(*session.value(), *recorder, rank);
      EXPECT_TRUE(session.value()->shutdown());
    });
  }
  for (std::thread& rank : ranks) rank.join();
}

INSTANTIATE_TEST_SUITE_P(
    Over,
    RealWalk,
    ::testing::Values(CommunicatorChoice::Shm, CommunicatorChoice::Gloo),
    [](const auto& info) { return info.param == CommunicatorChoice::Shm ? "Shm" : "Gloo"; });

}  // namespace
}  // namespace farandole

// Follows one tensor through the walk of docs/architecture.md, steps 4 to 13: what happens, in
// which order, on which thread.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "controller/loopback_control_plane.h"
#include "core/session.h"
#include "tests/support/fake_session.h"

namespace farandole {
namespace {

using ::testing::ElementsAre;

struct Step {
  EventKind kind;
  std::string name;
  std::thread::id thread;
};

class Recorder final : public Observer {
 public:
  void on(const Event& event) noexcept override {
    if (event.kind == EventKind::Round)
      return;  // of all its tensors, and of none
    if (event.kind == EventKind::PeerFailed)
      return;  // the other rank may leave while this one still finishes: no step of the tensor
    MutexLock lock(mutex_);
    steps_.push_back({event.kind, std::string(event.name), std::this_thread::get_id()});
  }
  std::vector<Step> steps() {
    MutexLock lock(mutex_);
    return steps_;
  }

 private:
  Mutex mutex_;
  std::vector<Step> steps_ FARANDOLE_GUARDED_BY(mutex_);
};

// One rank of two, on the loopback control plane; its collectives double.
struct Rank {
  Rank(int rank, const std::shared_ptr<LoopbackHub>& hub) {
    parts.config.rank = rank;
    parts.config.size = 2;
    parts.observers.push_back(recorder);
    parts.loop = loop;
    parts.devices.push_back(std::make_shared<testing::HostMemory>());
    const Member self{.rank = rank, .host = "h"};
    parts.control = std::make_unique<LoopbackControlPlane>(hub, parts.config, self, loop);
    parts.connect = [](const GroupSpec&, Store&) -> Result<std::unique_ptr<Communicator>> {
      const auto twice = [](const CollectiveOp& op) {
        const Segment& s = op.segments[0];
        for (size_t i = 0; i < s.count; ++i)
          static_cast<float*>(s.out)[i] = 2 * static_cast<const float*>(s.in)[i];
        return Status::ok();
      };
      return std::unique_ptr<Communicator>(new testing::FakeCommunicator(twice, true));
    };
  }

  std::shared_ptr<Recorder> recorder = std::make_shared<Recorder>();
  std::shared_ptr<ThreadLoop> loop = std::make_shared<ThreadLoop>("walk-test");
  SessionParts parts;
};

std::vector<EventKind> kinds(const std::vector<Step>& steps) {
  std::vector<EventKind> all;
  for (const Step& step : steps) all.push_back(step.kind);
  return all;
}

TEST(Walk, FollowsATensorFromTheCallerToItsTicket) {
  const auto hub = std::make_shared<LoopbackHub>(2);
  std::vector<std::vector<Step>> seen(2);
  std::vector<std::thread::id> loops(2);
  std::vector<std::thread::id> callers(2);
  std::vector<std::thread> ranks;
  for (int r = 0; r < 2; ++r) {
    ranks.emplace_back([&, r] {
      const auto place = static_cast<size_t>(r);
      Rank rank(r, hub);
      rank.loop->post([&, place] { loops[place] = std::this_thread::get_id(); });
      callers[place] = std::this_thread::get_id();
      auto session = Session::start(std::move(rank.parts));
      ASSERT_TRUE(session) << session.status().message();
      std::vector<float> values{1, 2};
      Request request;
      request.name = "gradient";
      request.signature.shape = {2};
      request.in = request.out = values.data();
      auto tickets = session.value()->submit({request});
      ASSERT_TRUE(tickets) << tickets.status().message();
      ASSERT_TRUE(session.value()->wait_until(*tickets.value()[0], steady_now() + 20s));
      EXPECT_THAT(values, ElementsAre(2, 4));
      seen[place] = rank.recorder->steps();
      EXPECT_TRUE(session.value()->shutdown());
    });
  }
  for (std::thread& t : ranks) t.join();

  for (size_t r = 0; r < 2; ++r) {
    ASSERT_THAT(
        kinds(seen[r]),
        ElementsAre(
            EventKind::Submitted,
            EventKind::Announced,
            EventKind::Agreed,
            EventKind::BucketStart,
            EventKind::BucketEnd,
            EventKind::Settled));
    for (const Step& step : seen[r]) EXPECT_EQ(step.name, "gradient");
    EXPECT_EQ(seen[r][0].thread, callers[r]) << "submitted by the caller";
    EXPECT_EQ(seen[r][1].thread, loops[r]) << "announced by the engine";
    EXPECT_EQ(seen[r][2].thread, loops[r]) << "agreed on the engine";
    EXPECT_NE(seen[r][3].thread, loops[r]) << "moved by the lane or the waiting caller";
    EXPECT_EQ(seen[r][5].thread, seen[r][3].thread) << "settled where it moved";
  }
}

}  // namespace
}  // namespace farandole

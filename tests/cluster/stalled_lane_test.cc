// A rank whose heartbeats go on but whose lane does not: a callback of its user's blocks it. The
// others, who wait for its part in a collective that it has submitted, do not wait for ever.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <future>
#include <string>
#include <vector>

#include "core/session.h"
#include "tests/support/session_cluster.h"

namespace farandole {
namespace {

using ::testing::ContainsRegex;
using ::testing::Each;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kSize = 3;
constexpr int kStalled = 1;
constexpr Duration kHeartbeatTimeout = 2s;
// Heartbeats would be missed first, if they stopped with the lane.
constexpr Duration kDataTimeout = 4s;

TicketPtr sum(Session& session, const std::string& name, std::vector<float>& values) {
  Request request;
  request.name = name;
  request.signature.shape = {static_cast<int64_t>(values.size())};
  request.in = request.out = values.data();
  Result<std::vector<TicketPtr>> tickets = session.submit({std::move(request)});
  EXPECT_TRUE(tickets) << tickets.status().message();
  return tickets ? tickets.value()[0] : nullptr;
}

bool settles(Session& session, const TicketPtr& ticket) {
  return ticket && session.wait_until(*ticket, steady_now() + 60s);
}

bool is_ready(const std::future<void>& future) {
  return future.wait_for(60s) == std::future_status::ready;
}

// Holds a lane from within a callback until it is opened.
class Gate {
 public:
  void hold() {
    entered_.set_value();
    (void)is_ready(open_.get_future());
  }
  bool is_held() { return is_ready(entered_.get_future()); }
  void open() { open_.set_value(); }

 private:
  std::promise<void> entered_, open_;
};

class StalledLane : public ::testing::TestWithParam<CommunicatorChoice> {};

TEST_P(StalledLane, IsOneVerdictOnAllRanksAndNoHeartbeatsBusiness) {
  Gate gate;
  std::array<std::string, kSize> texts;
  std::array<Status, kSize> verdicts;
  std::array<std::promise<void>, kSize> over;
  testing::run_cluster(
      kSize,
      [](Config& config) {
        config.communicator = GetParam();
        config.data_timeout = kDataTimeout;
        config.heartbeat_interval = 100ms;
        config.heartbeat_timeout = kHeartbeatTimeout;
      },
      [&](Session& session, int rank) {
        std::vector<float> first(1000, 1), second(1000, 1);
        const TicketPtr before = sum(session, "before", first);
        ASSERT_TRUE(before);
        if (rank == kStalled) {
          before->on_settled([&gate](const Status&) { gate.hold(); });
          ASSERT_TRUE(gate.is_held());
        } else {
          ASSERT_TRUE(settles(session, before));
        }
        EXPECT_TRUE(before->status().is_ok()) << before->status().message();
        const TicketPtr stuck = sum(session, "stuck", second);
        if (rank == kStalled) {
          // Until all have heard the verdict: this one, too, else it may still take its part, which
          // the others have left behind.
          std::vector<float> third(1);
          const TicketPtr alone = sum(session, "alone", third);
          for (const int other : {0, 2})
            EXPECT_TRUE(is_ready(over[static_cast<size_t>(other)].get_future()));
          EXPECT_TRUE(settles(session, alone));
          gate.open();
        }
        ASSERT_TRUE(settles(session, stuck));
        over[static_cast<size_t>(rank)].set_value();
        verdicts[static_cast<size_t>(rank)] = stuck->status();
        texts[static_cast<size_t>(rank)] = stuck->status().message();
      });
  EXPECT_THAT(
      texts,
      Each(ContainsRegex(
          "^allreduce \"stuck\".*: nothing has moved for 4(\\.0)? s.* waiting for .*rank 1 ")));
  EXPECT_EQ(texts[0], texts[2]);
  // The culprit itself is told the same, but for who it is.
  EXPECT_THAT(texts[0], EndsWith(texts[kStalled].substr(texts[kStalled].find(": ") + 2)));
  EXPECT_THAT(texts, Each(Not(HasSubstr("heartbeat"))));
  for (const Status& verdict : verdicts) {
    EXPECT_EQ(verdict.code(), verdicts[0].code());
    EXPECT_EQ(verdict.culprit(), kStalled);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Over,
    StalledLane,
    ::testing::Values(CommunicatorChoice::Shm, CommunicatorChoice::Gloo),
    [](const auto& info) { return info.param == CommunicatorChoice::Shm ? "Shm" : "Gloo"; });

}  // namespace
}  // namespace farandole

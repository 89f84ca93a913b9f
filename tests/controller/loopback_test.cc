// A job of several ranks in one process, over the loopback control plane.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "controller/loopback_control_plane.h"

namespace farandole {
namespace {

using testing::HasSubstr;

constexpr auto kPatience = std::chrono::seconds(30);

class RecordingSink final : public ControlSink {
 public:
  void on_agreement(Agreement agreement) override {
    MutexLock lock(mutex_);
    agreements_.push_back(std::move(agreement));
    changed_.notify_all();
  }
  void on_failure(PeerFailure failure) override {
    MutexLock lock(mutex_);
    failures_.push_back(std::move(failure));
    changed_.notify_all();
  }

  // Waits until there are `count`, then gives all.
  std::vector<Agreement> agreements(size_t count) { return wait(agreements_, count); }
  std::vector<PeerFailure> failures(size_t count) { return wait(failures_, count); }

 private:
  template <typename T>
  std::vector<T> wait(const std::vector<T>& items, size_t count) {
    const TimePoint deadline = steady_now() + kPatience;
    MutexLock lock(mutex_);
    while (items.size() < count && changed_.wait_until(mutex_, deadline)) {
    }
    EXPECT_GE(items.size(), count);
    return items;
  }

  Mutex mutex_;
  CondVar changed_;
  std::vector<Agreement> agreements_;
  std::vector<PeerFailure> failures_;
};

struct Rank {
  std::shared_ptr<ThreadLoop> loop = std::make_shared<ThreadLoop>("loop");
  RecordingSink sink;
  std::unique_ptr<LoopbackControlPlane> plane;
};

class LoopbackTest : public testing::Test {
 protected:
  static Config config_of(int rank, int size) {
    Config config;
    config.rank = rank;
    config.size = size;
    config.job = "job";
    return config;
  }

  void make(int size) {
    hub_ = std::make_shared<LoopbackHub>(size);
    for (int rank = 0; rank < size; ++rank) {
      ranks_.push_back(std::make_unique<Rank>());
      ranks_.back()->plane = plane(rank, config_of(rank, size));
    }
  }

  std::unique_ptr<LoopbackControlPlane> plane(int rank, const Config& config) {
    const Member self{rank, "host" + std::to_string(rank / 2), 100 + rank, ""};
    return std::make_unique<LoopbackControlPlane>(hub_, config, self, at(rank).loop);
  }

  Rank& at(int rank) { return *ranks_[static_cast<size_t>(rank)]; }

  std::vector<Status> start_all() {
    std::vector<std::future<Status>> starts;
    for (auto& rank : ranks_)
      starts.push_back(
          std::async(std::launch::async, [&rank = *rank] { return rank.plane->start(rank.sink); }));
    std::vector<Status> out;
    for (auto& start : starts) out.push_back(start.get());
    return out;
  }

  void form(int size) {
    make(size);
    for (const Status& status : start_all()) ASSERT_TRUE(status.is_ok()) << status.to_string();
  }

  static Announcement tensor(const std::string& name, std::vector<int64_t> shape) {
    Announcement out{name, {}};
    out.signature.shape = std::move(shape);
    return out;
  }

  std::shared_ptr<LoopbackHub> hub_;
  std::vector<std::unique_ptr<Rank>> ranks_;
};

TEST_F(LoopbackTest, FormsAndAgreesInOneOrder) {
  form(4);
  for (int rank = 0; rank < 4; ++rank) {
    ASSERT_EQ(at(rank).plane->members().size(), 4U);
    EXPECT_EQ(at(rank).plane->members()[3].host, "host1");
    EXPECT_EQ(at(rank).plane->epoch(), at(0).plane->epoch());
  }
  for (int step = 0; step < 3; ++step)
    for (int rank = 0; rank < 4; ++rank)
      at(rank).plane->announce({tensor("a", {3}), tensor("b", {rank == 2 ? 5 : 4})});
  const std::vector<Agreement> told = at(0).sink.agreements(3);
  EXPECT_EQ(told[0].ready, (std::vector<ReadyOp>{{"a", 0, {}}}));
  ASSERT_EQ(told[0].rejected.size(), 1U);
  EXPECT_EQ(
      told[0].rejected[0].why.message(),
      "allreduce \"b\": ranks disagree on shape: ranks 0-1 and 3 have [4], rank 2 has [5]; give "
      "tensors of one shape on every rank");
  for (int rank = 1; rank < 4; ++rank) EXPECT_EQ(at(rank).sink.agreements(3), told);
}

TEST_F(LoopbackTest, CallbacksComeOnTheLoopAndNotFromWithin) {
  form(1);
  std::promise<void> gate;
  std::shared_future<void> open = gate.get_future().share();
  at(0).loop->post([open] { open.wait(); });
  at(0).plane->announce({tensor("a", {1})});  // returns although the loop is busy
  gate.set_value();
  EXPECT_EQ(at(0).sink.agreements(1).size(), 1U);
}

TEST_F(LoopbackTest, BacklogHoldsSmallRoundsTogether) {
  form(2);
  at(0).plane->backlog(2);
  for (const char* name : {"a", "b"})
    for (int rank = 0; rank < 2; ++rank) at(rank).plane->announce({tensor(name, {1})});
  at(0).plane->backlog(1);
  const std::vector<Agreement> told = at(1).sink.agreements(1);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].ready.size(), 2U);
}

TEST_F(LoopbackTest, WhoIsMissingIsNamed) {
  make(3);
  Config config = config_of(0, 3);
  config.start_timeout = std::chrono::milliseconds(50);
  at(0).plane = plane(0, config);
  const Status status = at(0).plane->start(at(0).sink);
  EXPECT_EQ(status.code(), Code::Timeout);
  EXPECT_THAT(status.message(), HasSubstr("ranks 1-2 are missing"));
}

TEST_F(LoopbackTest, AMissingCoordinatorIsNamed) {
  make(2);
  Config config = config_of(1, 2);
  config.start_timeout = std::chrono::milliseconds(50);
  at(1).plane = plane(1, config);
  const Status status = at(1).plane->start(at(1).sink);
  EXPECT_EQ(status.code(), Code::Timeout);
  EXPECT_THAT(status.message(), HasSubstr("rank 0 missing"));
}

TEST_F(LoopbackTest, DifferentSettingsAreRefusedAlike) {
  make(2);
  Config config = config_of(1, 2);
  config.fusion_bytes = 1024;
  at(1).plane = plane(1, config);
  for (const Status& status : start_all()) {
    EXPECT_EQ(status.code(), Code::Mismatch);
    EXPECT_EQ(
        status.message(),
        "ranks disagree on FARANDOLE_FUSION_BYTES: rank 0 has 67108864, rank 1 has 1024; set it "
        "alike on every rank");
  }
}

TEST_F(LoopbackTest, AKilledRankIsNamedToAllOthers) {
  form(3);
  hub_->kill(1);
  for (const int rank : {0, 2}) {
    const PeerFailure failure = at(rank).sink.failures(1)[0];
    EXPECT_EQ(failure.rank, 1);
    EXPECT_EQ(failure.host, "host0");
    EXPECT_FALSE(failure.left);
    EXPECT_THAT(failure.cause, HasSubstr("without a goodbye"));
  }
  EXPECT_EQ(at(1).sink.failures(1)[0].rank, 0);
}

TEST_F(LoopbackTest, AKilledCoordinatorIsNamedToAllOthers) {
  form(3);
  hub_->kill(0);
  for (const int rank : {1, 2}) EXPECT_EQ(at(rank).sink.failures(1)[0].rank, 0);
}

TEST_F(LoopbackTest, AnAccusationBecomesTheVerdictOfAll) {
  form(3);
  at(2).plane->report({.rank = 1, .cause = "no byte in 10 s", .code = Code::Timeout});
  for (int rank = 0; rank < 3; ++rank) {
    const PeerFailure failure = at(rank).sink.failures(1)[0];
    EXPECT_EQ(failure.rank, 1);
    EXPECT_EQ(failure.cause, "no byte in 10 s");
    EXPECT_EQ(failure.code, Code::Timeout);
  }
}

TEST_F(LoopbackTest, ABrokenConnectionIsBetterEvidenceThanAnAccusation) {
  form(3);
  at(2).plane->report({.rank = 0, .cause = "no byte in 10 s", .code = Code::Timeout});
  hub_->kill(1);
  EXPECT_EQ(at(0).sink.failures(1)[0].rank, 1);
  EXPECT_EQ(at(2).sink.failures(1)[0].rank, 1);
}

TEST_F(LoopbackTest, AGoodbyeIsAcknowledgedAndHarmsNobody) {
  form(3);
  at(1).plane->announce({tensor("waits", {1})});
  at(2).plane->leave("shutdown");
  for (int rank = 0; rank < 3; ++rank) {
    const PeerFailure failure = at(rank).sink.failures(1)[0];
    EXPECT_EQ(failure.rank, 2);
    EXPECT_TRUE(failure.left);
  }
  at(2).plane->finished();
  at(2).plane->stop(steady_now());
  at(0).plane->announce({tensor("late", {1})});
  const std::vector<Agreement> told = at(0).sink.agreements(2);
  EXPECT_EQ(told[0].rejected[0].name, "waits");
  EXPECT_EQ(
      told[1].rejected[0].why.message(),
      "allreduce \"late\": rank 2 (host host1) left the job: shutdown");
  EXPECT_EQ(told[1].rejected[0].why.culprit(), 2);
  EXPECT_EQ(at(0).sink.failures(1).size(), 1U);
}

TEST_F(LoopbackTest, TheCoordinatorMayLeaveFirst) {
  form(3);
  at(1).plane->announce({tensor("waits", {1})});
  at(0).plane->leave("shutdown");
  EXPECT_TRUE(at(0).sink.failures(1)[0].left);
  at(0).plane->finished();
  auto stopped =
      std::async(std::launch::async, [&] { at(0).plane->stop(steady_now() + kPatience); });
  for (const int rank : {1, 2}) {
    EXPECT_EQ(at(rank).sink.failures(1)[0].rank, 0);
    at(rank).plane->finished();
  }
  stopped.get();
  for (const int rank : {1, 2}) {
    at(rank).plane->leave("shutdown");
    const PeerFailure own = at(rank).sink.failures(2)[1];
    EXPECT_EQ(own.rank, rank);
    EXPECT_TRUE(own.left);
  }
  EXPECT_EQ(at(1).sink.agreements(1)[0].rejected[0].name, "waits");
}

class LoopbackGoodbyeTest : public LoopbackTest, public testing::WithParamInterface<int> {};

TEST_P(LoopbackGoodbyeTest, WhoGoesBeforeItHasFinishedIsLost) {
  form(3);
  at(GetParam()).plane->leave("shutdown");
  EXPECT_TRUE(at(2).sink.failures(1)[0].left);
  at(GetParam()).plane->stop(steady_now());
  const PeerFailure failure = at(2).sink.failures(2)[1];
  EXPECT_EQ(failure.rank, GetParam());
  EXPECT_FALSE(failure.left);
}

INSTANTIATE_TEST_SUITE_P(Of, LoopbackGoodbyeTest, testing::Values(0, 1));

TEST_F(LoopbackTest, StoreWaitsForAKey) {
  form(2);
  const TimePoint deadline = steady_now() + kPatience;
  auto waiting =
      std::async(std::launch::async, [&] { return at(1).plane->store().get("key", deadline); });
  EXPECT_TRUE(at(0).plane->store().set("key", {1, 2, 3}).is_ok());
  const Result<std::vector<uint8_t>> value = waiting.get();
  ASSERT_TRUE(value) << value.status().to_string();
  EXPECT_EQ(value.value(), (std::vector<uint8_t>{1, 2, 3}));
  const Status again = at(1).plane->store().set("key", {4});
  EXPECT_EQ(again.code(), Code::InvalidArgument);
  EXPECT_THAT(again.message(), HasSubstr("\"key\""));
}

TEST_F(LoopbackTest, StoreGivesUpAtTheDeadline) {
  form(2);
  const auto value = at(1).plane->store().get("none", steady_now() + Duration(1000));
  EXPECT_EQ(value.status().code(), Code::Timeout);
  EXPECT_THAT(value.status().message(), HasSubstr("\"none\""));
}

TEST_F(LoopbackTest, StoreFailsWithTheJob) {
  form(3);
  const TimePoint deadline = steady_now() + kPatience;
  auto waiting =
      std::async(std::launch::async, [&] { return at(2).plane->store().get("key", deadline); });
  hub_->kill(1);
  const Status status = waiting.get().status();
  EXPECT_EQ(status.code(), Code::PeerLost);
  EXPECT_EQ(status.culprit(), 1);
}

TEST_F(LoopbackTest, StoreEndsWhenTheOwnRankStops) {
  form(2);
  const TimePoint deadline = steady_now() + kPatience;
  auto waiting =
      std::async(std::launch::async, [&] { return at(1).plane->store().get("key", deadline); });
  at(1).plane->leave("shutdown");
  EXPECT_TRUE(at(1).sink.failures(1)[0].left);
  at(1).plane->finished();
  at(1).plane->stop(steady_now());
  EXPECT_EQ(waiting.get().status().code(), Code::Aborted);
}

TEST_F(LoopbackTest, NoCallbackAfterStop) {
  form(2);
  std::promise<void> gate;
  std::shared_future<void> open = gate.get_future().share();
  at(1).loop->post([open] { open.wait(); });
  for (int rank = 0; rank < 2; ++rank) at(rank).plane->announce({tensor("a", {1})});
  at(1).plane->stop(steady_now());
  gate.set_value();
  at(1).loop.reset();
  at(1).plane.reset();  // joins the loop, which has run all that was posted
  EXPECT_TRUE(at(1).sink.agreements(0).empty());
  EXPECT_TRUE(at(1).sink.failures(0).empty());
}

}  // namespace
}  // namespace farandole

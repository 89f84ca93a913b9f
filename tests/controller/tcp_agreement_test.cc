// What a formed group agrees upon, and its store.

#include <gmock/gmock.h>

#include <algorithm>
#include <random>

#include "tests/controller/tcp_job.h"

namespace farandole {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(TcpAgreement, ATensorIsReadyOnceAllHaveAnnouncedIt) {
  TcpJob job(3);
  job.form();
  job[0].plane->announce({allreduce_of("a"), allreduce_of("b")});
  job[1].plane->announce({allreduce_of("b"), allreduce_of("a")});
  job[2].plane->announce({allreduce_of("b")});
  for (int rank = 0; rank < 3; ++rank)
    EXPECT_THAT(ready_names(job[rank].sink.agreements(ready(1))), ::testing::ElementsAre("b"));
  job[2].plane->announce({allreduce_of("a")});
  for (int rank = 0; rank < 3; ++rank)
    EXPECT_THAT(ready_names(job[rank].sink.agreements(ready(2))), ::testing::ElementsAre("b", "a"));
}

TEST(TcpAgreement, AThousandTensorsInAnyOrderComeInOneOrder) {
  constexpr int kTensors = 1000;
  TcpJob job(4);
  job.form();
  for (int step = 1; step <= 3; ++step) {
    job.on_all([&](TcpRank& rank) {
      std::vector<Announcement> items;
      for (int i = 0; i < kTensors; ++i) items.push_back(allreduce_of("grad/" + std::to_string(i)));
      std::mt19937 random(static_cast<unsigned>(rank.rank * 100 + step));
      std::shuffle(items.begin(), items.end(), random);
      for (auto& item : items) rank.plane->announce({std::move(item)});
    });
    const auto first = job[0].sink.agreements(ready(static_cast<size_t>(step) * kTensors));
    for (int rank = 1; rank < 4; ++rank)
      EXPECT_EQ(job[rank].sink.agreements(ready(static_cast<size_t>(step) * kTensors)), first);
  }
}

TEST(TcpAgreement, ManyCallersAtOnce) {
  TcpJob job(2);
  job.form();
  job.on_all([](TcpRank& rank) {
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 4; ++caller)
      callers.emplace_back([&rank, caller] {
        for (int i = 0; i < 100; ++i)
          rank.plane->announce({allreduce_of(std::to_string(caller) + "/" + std::to_string(i))});
      });
    for (std::thread& caller : callers) caller.join();
  });
  EXPECT_EQ(job[0].sink.agreements(ready(400)), job[1].sink.agreements(ready(400)));
}

TEST(TcpAgreement, AnnouncingFromTheSinksOwnThreadIsFine) {
  constexpr size_t kRounds = 200;
  TcpJob job(2);
  for (auto& rank : job.ranks) {
    rank->sink.then = [&rank, count = size_t{1}](const Agreement&) mutable {
      if (count < kRounds)
        rank->plane->announce({allreduce_of("step")});
      ++count;
    };
  }
  job.form();
  job[0].plane->announce({allreduce_of("step")});
  job[1].plane->announce({allreduce_of("step")});
  for (int rank = 0; rank < 2; ++rank)
    EXPECT_EQ(job[rank].sink.agreements(ready(kRounds)).size(), kRounds);
}

TEST(TcpAgreement, DisagreementIsOneTensorsErrorAndTheJobGoesOn) {
  TcpJob job(2);
  job.form();
  job[0].plane->announce({allreduce_of("x", {8, 3}), allreduce_of("y")});
  job[1].plane->announce({allreduce_of("x", {8, 4}), allreduce_of("y")});
  const auto rejected_one = [](const std::vector<Agreement>& all) {
    return std::ranges::any_of(all, [](const Agreement& a) { return !a.rejected.empty(); });
  };
  for (int rank = 0; rank < 2; ++rank) {
    for (const Agreement& agreement : job[rank].sink.agreements(rejected_one))
      for (const Rejection& rejection : agreement.rejected) {
        EXPECT_EQ(rejection.name, "x");
        EXPECT_EQ(rejection.why.code(), Code::Mismatch);
        EXPECT_THAT(rejection.why.message(), HasSubstr("[8, 4]"));
      }
    EXPECT_THAT(ready_names(job[rank].sink.agreements(ready(1))), ::testing::ElementsAre("y"));
  }
}

TEST(TcpAgreement, ABusyRankZeroHoldsRoundsBackAndLosesNone) {
  TcpJob job(2);
  job.form();
  job[0].plane->backlog(5);
  for (int i = 0; i < 10; ++i)
    for (int rank = 0; rank < 2; ++rank)
      job[rank].plane->announce({allreduce_of("t" + std::to_string(i))});
  job[0].plane->backlog(0);
  EXPECT_EQ(job[0].sink.agreements(ready(10)), job[1].sink.agreements(ready(10)));
}

TEST(TcpStore, WhatOneRankSetsAllGet) {
  TcpJob job(3);
  job.form();
  job.on_all([](TcpRank& rank) {
    const std::string own = "key/" + std::to_string(rank.rank);
    const std::vector<uint8_t> value(1000, static_cast<uint8_t>(rank.rank));
    EXPECT_TRUE(rank.plane->store().set(own, value).is_ok());
    for (int peer = 0; peer < 3; ++peer) {
      const auto got =
          rank.plane->store().get("key/" + std::to_string(peer), steady_now() + kPatience);
      ASSERT_TRUE(got) << got.status().to_string();
      EXPECT_EQ(got.value(), std::vector<uint8_t>(1000, static_cast<uint8_t>(peer)));
    }
  });
}

TEST(TcpStore, AKeyIsSetOnce) {
  TcpJob job(2);
  job.form();
  EXPECT_TRUE(job[1].plane->store().set("k", {1}).is_ok());
  const Status again = job[0].plane->store().set("k", {2});
  EXPECT_EQ(again.code(), Code::InvalidArgument);
  EXPECT_THAT(again.message(), HasSubstr("k"));
  EXPECT_EQ(
      job[0].plane->store().get("k", steady_now() + kPatience).value(), std::vector<uint8_t>{1});
}

TEST(TcpStore, AKeyThatNobodySetsTimesOutByName) {
  TcpJob job(2);
  job.form();
  const auto got = job[1].plane->store().get("never", steady_now() + 20ms);
  EXPECT_EQ(got.status().code(), Code::Timeout);
  EXPECT_THAT(got.status().message(), HasSubstr("nobody set the store key \"never\" within 0.0 s"));
  EXPECT_TRUE(job[0].plane->store().set("never", {7}).is_ok()) << "the late value disturbs nobody";
  EXPECT_TRUE(job[1].plane->store().get("never", steady_now() + kPatience));
}

TEST(TcpStore, WaitersEndAtOnceWhenARankIsLostAndWhenTheirOwnStops) {
  TcpJob job(3);
  job.form();
  std::vector<Status> ends(2);
  std::vector<std::thread> waiters;
  for (const int rank : {0, 1})
    waiters.emplace_back([&job, &ends, rank] {
      ends[static_cast<size_t>(rank)] =
          job[rank].plane->store().get("never", steady_now() + 1h).status();
    });
  job[2].plane->stop(steady_now() + kPatience);
  for (std::thread& waiter : waiters) waiter.join();
  for (const Status& end : ends) {
    EXPECT_EQ(end.code(), Code::PeerLost);
    EXPECT_EQ(end.culprit(), 2);
  }
  EXPECT_EQ(job[0].plane->store().get("x", steady_now() + 1h).status().code(), Code::PeerLost);
  EXPECT_EQ(job[2].plane->store().get("x", steady_now() + 1h).status().code(), Code::Aborted);
  EXPECT_EQ(job[2].plane->store().set("x", {}).code(), Code::Aborted);
}

TEST(TcpStore, TheLoopsOwnThreadIsRefusedInsteadOfADeadlock) {
  TcpJob job(2);
  job.form();
  Status status;
  job[1].io->run_and_wait(
      [&] { status = job[1].plane->store().get("x", steady_now() + 1h).status(); });
  EXPECT_EQ(status.code(), Code::Internal);
}

}  // namespace
}  // namespace farandole

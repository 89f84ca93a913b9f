// Process sets of whole jobs in one process, over every communicator.

#include <bit>

#include "tests/cluster/sets_support.h"
#include "tests/support/descriptors.h"
#include "tests/support/threads.h"

namespace farandole::sets {
namespace {

TEST_P(Sets, CommunicateAmongTheirRanksAlone) {
  run([](Session& session, int rank) {
    const Result<int64_t> id = add(session, {0, 1, 3});
    ASSERT_TRUE(id) << id.status().message();
    EXPECT_EQ(id.value(), 2);
    EXPECT_THAT(session.process_sets(), ElementsAre(0, 1, 2));
    EXPECT_THAT(session.ranks_of(2).value(), ElementsAre(0, 1, 3));
    std::vector<float> values(1000, static_cast<float>(rank));
    const Status status = allreduce(session, "a", 2, values);
    if (rank == 2) {
      EXPECT_EQ(
          status.message(),
          "allreduce \"a\": rank 2 is not in process set 2, whose ranks are 0, 1, 3");
      return;
    }
    EXPECT_EQ(status.message(), "");
    EXPECT_THAT(values, Each(4.0F));
    // The root is a rank of the job.
    values.assign(10, static_cast<float>(rank));
    Request r = request_of("b", 2, values);
    r.signature.kind = Broadcast;
    r.signature.root = 3;
    EXPECT_EQ(end(session, session.submit({r})).message(), "");
    EXPECT_THAT(values, Each(3.0F));
    r.signature.root = 2;
    EXPECT_EQ(
        end(session, session.submit({r})).message(),
        "broadcast \"b\": root rank 2 is not in process set 2, whose ranks are 0, 1, 3");
  });
}

TEST_P(Sets, AreRemovedBehindTheirWork) {
  run([](Session& session, int rank) {
    for (int round = 0; round < 3; ++round) {
      const Result<int64_t> id = add(session, {0, 2});
      ASSERT_TRUE(id) << id.status().message();
      const auto set = static_cast<uint32_t>(id.value());
      EXPECT_EQ(set, 2U + static_cast<uint32_t>(round));
      std::vector<float> values(100, 1.0F);
      std::vector<float> pending(10, 1.0F);
      Result<std::vector<TicketPtr>> alone{std::vector<TicketPtr>()};
      if (rank == 0 || rank == 2) {
        EXPECT_EQ(allreduce(session, "a", set, values).message(), "");
      }
      if (rank == 0)
        alone = session.submit({request_of("pending", set, pending)});
      EXPECT_EQ(barrier(session, 0).message(), "");
      const Result<int64_t> removed = remove(session, set);
      EXPECT_EQ(removed.status().message(), "");
      if (rank == 0) {
        ASSERT_TRUE(alone);
        EXPECT_EQ(
            end(session, std::move(alone)).message(),
            fmt::format("allreduce \"pending\": process set {} was removed", set));
      }
      EXPECT_EQ(
          allreduce(session, "a", set, values).message(),
          fmt::format("allreduce \"a\": process set {} was removed", set));
    }
    EXPECT_THAT(session.process_sets(), ElementsAre(0, 1));
    EXPECT_THAT(remove(session, 2).status().message(), HasSubstr("process set 2 was removed"));
    EXPECT_THAT(
        add(session, {1, 3}).status().message(),
        HasSubstr("ranks [1, 3] are process set 1 already"));
  });
}

TEST_P(Sets, RanksThatDisagreeHearTheSameAndGoOn) {
  run([](Session& session, int rank) {
    const Result<int64_t> id = add(session, {0, rank == 3 ? 2 : 1});
    EXPECT_EQ(id.status().code(), Code::Mismatch);
    EXPECT_EQ(
        id.status().message(),
        "add_process_set: ranks disagree on its ranks: ranks 0-2 have "
        "[0, 1], rank 3 has [0, 2]; give one list of ranks on every rank");
    const Result<int64_t> other = rank == 1 ? remove(session, 1) : add(session, {0, 1});
    EXPECT_EQ(other.status().code(), Code::Mismatch);
    EXPECT_THAT(other.status().message(), HasSubstr("ranks disagree on operation"));
    EXPECT_EQ(add(session, {0, 1}).status().message(), "");
  });
}

INSTANTIATE_TEST_SUITE_P(Everywhere, Sets, kEverywhere, name_of_place);

// Holds every lane that is about to carry out a tensor called "slow", until they are let go.
class Holdup final : public Observer {
 public:
  void on(const Event& event) noexcept override {
    if (event.kind == EventKind::BucketStart && event.name == "slow")
      gone_.wait_for(60s);
  }
  void let_go() { go_.set_value(); }

 private:
  std::promise<void> go_;
  const std::shared_future<void> gone_ = go_.get_future().share();
};

// Rank 0 is in both sets; one of its lanes is held up all the time, with several operations behind
// it.
TEST(SlowSet, DelaysNoOther) {
  const auto holdup = std::make_shared<Holdup>();
  const auto other_done = std::make_shared<std::promise<void>>();
  const std::shared_future<void> done = other_done->get_future().share();
  run_cluster(
      3,
      [](Config& config) {
        config.process_sets = "0,1;0,2";
        config.data_timeout = 60s;  // rank 1 waits for rank 0 all the time
      },
      [&](Session& session, int rank) {
        if (rank == 2) {
          std::vector<float> values(10, 1.0F);
          EXPECT_EQ(allreduce(session, "warm", 2, values).message(), "");
          std::vector<Duration> took;
          for (int i = 0; i < 50; ++i) {
            const TimePoint start = steady_now();
            EXPECT_EQ(barrier(session, 2).message(), "");
            took.push_back(steady_now() - start);
          }
          // On a busy machine some take longer; what another set delays, all would.
          EXPECT_LT(std::ranges::min(took), 50ms);
          other_done->set_value();
          return;
        }
        std::vector<std::vector<float>> slow(5, std::vector<float>(10, 1.0F));
        std::vector<TicketPtr> tickets;
        for (size_t i = 0; i < slow.size(); ++i)
          tickets.push_back(
              session.submit({request_of(i == 0 ? "slow" : fmt::format("s{}", i), 1, slow[i])})
                  .value()[0]);
        if (rank == 0) {
          std::vector<float> values(10, 1.0F);
          EXPECT_EQ(allreduce(session, "warm", 2, values).message(), "");
          for (int i = 0; i < 50; ++i) EXPECT_EQ(barrier(session, 2).message(), "");
          EXPECT_EQ(done.wait_for(60s), std::future_status::ready);
          EXPECT_FALSE(tickets[0]->settled()) << "nothing was held up";
          holdup->let_go();
        }
        for (const TicketPtr& ticket : tickets) {
          EXPECT_TRUE(session.wait_until(*ticket, soon()));
          EXPECT_TRUE(ticket->status().is_ok()) << ticket->status().message();
        }
      },
      {holdup});
}

TEST(ManySets, CostThreadsAndDescriptorsOnlyWhereUsed) {
  run_cluster(1, nullptr, [](Session& session, int) {
    std::vector<float> values(10, 1.0F);
    EXPECT_EQ(allreduce(session, "a", 0, values).message(), "");
    EXPECT_THAT(add(session, {0}).status().message(), HasSubstr("process set 0 already"));
  });
  std::promise<void> counted;
  const std::shared_future<void> go = counted.get_future().share();
  constexpr int64_t kRanks = 10;
  run_cluster(
      kRanks,
      [](Config& config) { config.communicator = CommunicatorChoice::Gloo; },
      [&](Session& session, int rank) {
        EXPECT_EQ(barrier(session, 0).message(), "");
        const size_t threads = rank == 0 ? testing::live_threads() : 0;
        const size_t files = rank == 0 ? testing::open_descriptors() : 0;
        EXPECT_EQ(barrier(session, 0).message(), "");
        // All at once: one of each three and of each four ranks.
        std::vector<Request> requests;
        for (unsigned chosen = 0; chosen < 1U << kRanks; ++chosen) {
          const int count = std::popcount(chosen);
          if (count != 3 && count != 4)
            continue;
          Request& one = requests.emplace_back();
          one.signature.kind = AddProcessSet;
          for (int64_t r = 0; r < kRanks; ++r)
            if ((chosen >> r & 1U) != 0)
              one.signature.operand.push_back(r);
        }
        const size_t sets = requests.size();
        EXPECT_EQ(sets, 330U);
        const std::vector<TicketPtr> added = session.submit(std::move(requests)).value();
        for (size_t i = 0; i < sets; ++i) {
          ASSERT_TRUE(session.wait_until(*added[i], soon()));
          ASSERT_EQ(added[i]->status().message(), "");
          EXPECT_EQ(added[i]->outcome().value, static_cast<int64_t>(i + 1));
        }
        EXPECT_EQ(barrier(session, 0).message(), "");
        if (rank == 0) {
          EXPECT_EQ(testing::live_threads(), threads);
          EXPECT_EQ(testing::open_descriptors(), files);
          counted.set_value();
        }
        EXPECT_EQ(go.wait_for(60s), std::future_status::ready);
        if (rank <= 2) {
          std::vector<float> values(10, 1.0F);
          EXPECT_EQ(allreduce(session, "a", 1, values).message(), "");
          EXPECT_THAT(values, Each(3.0F));
        }
        EXPECT_EQ(barrier(session, 0).message(), "");
      });
}

// Rank 3 leaves: what does not need it goes on.
TEST(Goodbye, EndsTheSetsOfWhoLeftAlone) {
  run_cluster(
      4,
      [](Config& config) { config.process_sets = "0,1;2,3"; },
      [](Session& session, int rank) {
        EXPECT_EQ(barrier(session, 0).message(), "");
        if (rank == 3) {
          EXPECT_EQ(barrier(session, 2).message(), "");
          EXPECT_TRUE(session.shutdown().is_ok());
          return;
        }
        if (rank == 2) {
          EXPECT_EQ(barrier(session, 2).message(), "");
          EXPECT_EQ(barrier(session, 2).code(), Code::PeerLost);
          return;
        }
        EXPECT_EQ(barrier(session, 0).code(), Code::PeerLost);
        std::vector<float> values(10, 1.0F);
        for (int i = 0; i < 10; ++i) EXPECT_EQ(allreduce(session, "a", 1, values).message(), "");
        EXPECT_THAT(values, Each(1024.0F));
        EXPECT_EQ(session.health().code(), Code::PeerLost);
      });
}

}  // namespace
}  // namespace farandole::sets

// Whole jobs in one process: negotiation over TCP, every communicator, any order of submission.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <set>
#include <thread>

#include "core/base/log.h"
#include "core/session.h"
#include "tests/support/cluster_place.h"

namespace farandole {
namespace {

using ::testing::ElementsAre;
using testing::name_of_place;
using testing::Place;
using testing::run_cluster;

TimePoint soon() {
  return steady_now() + 60s;
}

class Cluster : public ::testing::TestWithParam<Place> {
 protected:
  static void run(
      const std::function<void(Session&, int)>& body,
      const std::function<void(Config&)>& adjust = [](Config&) {}) {
    testing::run_at(GetParam(), adjust, body);
  }
  static int size() { return GetParam().size; }
};

class SeveralRanks : public Cluster {};

Request sum(std::string name, std::vector<float>& values) {
  Request r;
  r.name = std::move(name);
  r.signature.shape = {static_cast<int64_t>(values.size())};
  r.in = values.data();
  r.out = values.data();
  return r;
}

TicketPtr submit(Session& session, Request request) {
  Result<std::vector<TicketPtr>> tickets = session.submit({std::move(request)});
  EXPECT_TRUE(tickets) << tickets.status().message();
  return tickets ? tickets.value()[0] : nullptr;
}

void finish(Session& session, const TicketPtr& ticket) {
  ASSERT_TRUE(ticket);
  ASSERT_TRUE(session.wait_until(*ticket, soon()));
  ASSERT_TRUE(ticket->status().is_ok()) << ticket->status().message();
}

TEST_P(Cluster, ThousandsOfTensorsInARandomOrderOnEveryRank) {
  constexpr int kTensors = 2000;
  run([](Session& session, int rank) {
    std::mt19937 random(static_cast<unsigned>(rank));
    for (int step = 0; step < 3; ++step) {
      std::vector<int> order(kTensors);
      std::iota(order.begin(), order.end(), 0);
      std::shuffle(order.begin(), order.end(), random);
      std::vector<std::vector<float>> values(kTensors);
      std::vector<TicketPtr> tickets(kTensors);
      for (const int i : order) {
        values[static_cast<size_t>(i)].assign(
            static_cast<size_t>(i % 97), static_cast<float>(i + rank));
        tickets[static_cast<size_t>(i)] =
            submit(session, sum(fmt::format("t{}", i), values[static_cast<size_t>(i)]));
      }
      std::shuffle(order.begin(), order.end(), random);
      for (const int i : order) {
        finish(session, tickets[static_cast<size_t>(i)]);
        const float expected = static_cast<float>(size() * i + size() * (size() - 1) / 2);
        for (const float value : values[static_cast<size_t>(i)])
          ASSERT_EQ(value, expected) << "t" << i << " on rank " << rank;
      }
    }
  });
}

TEST_P(Cluster, SeveralThreadsSubmitAtOnce) {
  run([](Session& session, int rank) {
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 4; ++caller) {
      callers.emplace_back([&session, caller, rank] {
        for (int i = 0; i < 100; ++i) {
          std::vector<float> values{static_cast<float>(rank), static_cast<float>(i)};
          finish(session, submit(session, sum(fmt::format("c{}.{}", caller, i), values)));
          EXPECT_THAT(
              values,
              ElementsAre(
                  static_cast<float>(size() * (size() - 1) / 2), static_cast<float>(size() * i)));
        }
      });
    }
    for (std::thread& t : callers) t.join();
  });
}

TEST_P(Cluster, RaggedKindsGiveEveryRankItsRows) {
  run([](Session& session, int rank) {
    // Rank r contributes r+1 rows of two elements, all r.
    std::vector<int32_t> rows(static_cast<size_t>(2 * (rank + 1)), rank);
    Request gather;
    gather.name = "gather";
    gather.signature.kind = CollectiveKind::Allgather;
    gather.signature.dtype = DType::Int32;
    gather.signature.shape = {rank + 1, 2};
    gather.in = rows.data();
    const TicketPtr gathered = submit(session, gather);
    finish(session, gathered);
    EXPECT_THAT(gathered->outcome().shape, ElementsAre(size() * (size() + 1) / 2, 2));
    const auto* values = static_cast<const int32_t*>(gathered->outcome().data);
    for (int source = 0; source < size(); ++source) {
      for (int i = 0; i < 2 * (source + 1); ++i) ASSERT_EQ(*values++, source);
    }

    // Rank r sends d rows of value 10r+d to rank d.
    Request exchange;
    exchange.name = "exchange";
    exchange.signature.kind = CollectiveKind::Alltoall;
    exchange.signature.dtype = DType::Int32;
    std::vector<int32_t> sent;
    for (int d = 0; d < size(); ++d) {
      sent.insert(sent.end(), static_cast<size_t>(d), 10 * rank + d);
      exchange.signature.splits.push_back(d);
    }
    exchange.signature.shape = {static_cast<int64_t>(sent.size())};
    exchange.in = sent.data();
    const TicketPtr exchanged = submit(session, exchange);
    finish(session, exchanged);
    EXPECT_THAT(exchanged->outcome().shape, ElementsAre(size() * rank));
    const auto* received = static_cast<const int32_t*>(exchanged->outcome().data);
    for (int source = 0; source < size(); ++source) {
      for (int i = 0; i < rank; ++i) ASSERT_EQ(*received++, 10 * source + rank);
    }
  });
}

TEST_P(SeveralRanks, AMismatchIsTheSameErrorEverywhereAndTheJobGoesOn) {
  std::vector<std::string> texts(static_cast<size_t>(size()));
  run([&](Session& session, int rank) {
    std::vector<float> values(rank == 1 ? 4 : 3, 1);
    const TicketPtr bad = submit(session, sum("bad", values));
    ASSERT_TRUE(session.wait_until(*bad, soon()));
    EXPECT_EQ(bad->status().code(), Code::Mismatch);
    texts[static_cast<size_t>(rank)] = bad->status().message();
    std::vector<float> good{1};
    finish(session, submit(session, sum("good", good)));
    EXPECT_EQ(good[0], static_cast<float>(size()));
  });
  EXPECT_THAT(texts[0], ::testing::HasSubstr("allreduce \"bad\": ranks disagree on shape"));
  EXPECT_THAT(texts, ::testing::Each(texts[0]));
}

// What only the leaving rank has asked for is its own doing; the others did nothing wrong.
TEST_P(SeveralRanks, AShutdownAbortsWhatNobodyElseSubmitted) {
  std::promise<void> ended;
  std::shared_future<void> has_ended = ended.get_future().share();
  run([&](Session& session, int rank) {
    if (rank != 1) {
      EXPECT_EQ(has_ended.wait_until(soon()), std::future_status::ready);
      return;
    }
    std::vector<float> alone{1};
    const TicketPtr ticket = submit(session, sum("alone", alone));
    EXPECT_TRUE(session.shutdown());
    ended.set_value();
    ASSERT_TRUE(ticket && ticket->settled());
    EXPECT_EQ(ticket->status().code(), Code::Aborted);
    EXPECT_EQ(ticket->status().message(), "allreduce \"alone\": ended by this rank's shutdown");
  });
}

TEST_P(Cluster, ABarrierHoldsUntilTheLastHasCome) {
  std::atomic<int> arrived{0};
  run([&](Session& session, int rank) {
    for (int round = 1; round <= 20; ++round) {
      if (round % size() == rank)
        std::this_thread::yield();
      ++arrived;
      Request barrier;
      barrier.signature.kind = CollectiveKind::Barrier;
      finish(session, submit(session, barrier));
      EXPECT_GE(arrived.load(), round * size());
    }
  });
}

// Both ranks are sessions of this process. Whatever thread of theirs writes a line, its own or a
// caller's, the line bears the rank.
TEST_P(SeveralRanks, EveryLineOfTheLogBearsItsRank) {
  std::mutex mutex;
  std::map<std::string, std::multiset<std::string>> lines;  // by label
  set_log_sink([&](LogLevel, std::string_view line) {
    const LogLabel label = log_label();
    const std::lock_guard<std::mutex> lock(mutex);
    lines[label ? *label : "none"].emplace(line.substr(0, line.find(' ')));
  });
  run(
      [&](Session& session, int) {
        Request barrier;
        barrier.name = "meet";
        barrier.signature.kind = CollectiveKind::Barrier;
        finish(session, submit(session, barrier));
      },
      [](Config& config) { config.log_level = LogLevel::Trace; });
  set_log_sink({});
  EXPECT_EQ(lines.size(), static_cast<size_t>(size()));
  for (int rank = 0; rank < size(); ++rank) {
    const auto& own = lines[fmt::format("rank {}", rank)];
    EXPECT_EQ(own.count("joined"), 1U) << rank;
    EXPECT_EQ(own.count("barrier"), 1U) << rank << ": submitted";
    EXPECT_EQ(own.count("\"meet\""), 3U) << rank << ": announced, agreed upon, settled";
  }
}

constexpr std::array kPlaces{
    Place{CommunicatorChoice::Shm, 2, 1},
    Place{CommunicatorChoice::Shm, 4, 1},
    Place{CommunicatorChoice::Gloo, 2, 1},
    Place{CommunicatorChoice::Gloo, 3, 3},
    Place{CommunicatorChoice::Auto, 4, 2},
    Place{CommunicatorChoice::Auto, 3, 2}};

INSTANTIATE_TEST_SUITE_P(
    Alone, Cluster, ::testing::Values(Place{CommunicatorChoice::Auto, 1, 1}), name_of_place);
INSTANTIATE_TEST_SUITE_P(Places, Cluster, ::testing::ValuesIn(kPlaces), name_of_place);
INSTANTIATE_TEST_SUITE_P(Places, SeveralRanks, ::testing::ValuesIn(kPlaces), name_of_place);

}  // namespace
}  // namespace farandole

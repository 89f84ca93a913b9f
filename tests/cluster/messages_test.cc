// Messages between two ranks in whole jobs in one process, over every communicator.

#include <numeric>

#include "core/way.h"
#include "tests/cluster/sets_support.h"

namespace farandole::sets {
namespace {

class Messages : public Sets {};

Request message(std::string name, Way way, uint32_t process_set = 0) {
  Request r;
  r.name = std::move(name);
  r.signature.kind = Message;
  r.signature.process_set = process_set;
  r.signature.root = way.from;
  r.signature.operand = {way.to};
  return r;
}

TicketPtr submit(Session& session, Request request) {
  Result<std::vector<TicketPtr>> tickets = session.submit({std::move(request)});
  EXPECT_TRUE(tickets) << tickets.status().message();
  return tickets ? tickets.value()[0] : nullptr;
}

Status ended(Session& session, const TicketPtr& ticket) {
  if (!ticket || !session.wait_until(*ticket, soon()))
    return {Code::Timeout, "it did not settle"};
  return ticket->status();
}

std::vector<uint8_t> pattern(size_t bytes, int from, int to) {
  std::vector<uint8_t> out(bytes);
  std::iota(out.begin(), out.end(), static_cast<uint8_t>(from * 16 + to));
  return out;
}

struct Kept {
  std::vector<uint8_t> bytes;
  TicketPtr ticket;
};

// Each rank to each other one, both ways at once under one name: every dtype and size, received by
// who knows and by who does not.
TEST_P(Messages, BringEveryTensorToWhomItIsFor) {
  run([](Session& session, int rank) {
    const int size = session.topology().size;
    for (int dtype = 0; dtype < kDTypeCount; ++dtype) {
      const int64_t count =
          std::array<int64_t, 5>{0, 1, 3, 4096, 70001}[static_cast<size_t>(dtype) % 5];
      const bool knows = dtype % 2 == 0;
      const size_t bytes = static_cast<size_t>(count) * size_of(static_cast<DType>(dtype));
      std::vector<Kept> sends;
      std::vector<Kept> receives(static_cast<size_t>(size));
      for (int other = 0; other < size; ++other) {
        if (other == rank)
          continue;
        Request give = message("x", {rank, other});
        give.signature.dtype = static_cast<DType>(dtype);
        give.signature.shape = {count};
        give.signature.operand.push_back(7);
        sends.push_back({pattern(bytes, rank, other), nullptr});
        give.in = sends.back().bytes.data();
        sends.back().ticket = submit(session, give);
        Kept& got = receives[static_cast<size_t>(other)];
        Request take = message("x", {other, rank});
        got.bytes.resize(bytes + 1);
        if (knows) {
          take.out = got.bytes.data();
          take.signature.dtype = give.signature.dtype;
          take.signature.shape = {count};
        }
        got.ticket = submit(session, take);
      }
      for (int other = 0; other < size; ++other) {
        if (other == rank)
          continue;
        const TicketPtr ticket = receives[static_cast<size_t>(other)].ticket;
        ASSERT_EQ(ended(session, ticket).message(), "");
        const Outcome& outcome = ticket->outcome();
        const auto* data = static_cast<const uint8_t*>(outcome.data);
        EXPECT_EQ(std::vector<uint8_t>(data, data + bytes), pattern(bytes, other, rank));
        EXPECT_THAT(outcome.shape, ElementsAre(count));
        EXPECT_EQ(outcome.dtype, static_cast<DType>(dtype));
        EXPECT_EQ(outcome.value, 7);
      }
      for (const Kept& one : sends) {
        ASSERT_EQ(ended(session, one.ticket).message(), "");
        EXPECT_THAT(one.ticket->outcome().shape, ElementsAre(0));
        EXPECT_EQ(one.ticket->outcome().data, nullptr);
      }
    }
    EXPECT_EQ(barrier(session, 0).message(), "");  // before rank 0 leaves
  });
}

// What nobody receives delays nobody, and ends with the job.
TEST_P(Messages, DelayNoCollective) {
  run([](Session& session, int rank) {
    std::vector<float> values(3, 1.0F);
    TicketPtr waits;
    if (rank == 0) {
      Request r = message("lonely", {0, 1});
      r.signature.shape = {3};
      r.in = values.data();
      waits = submit(session, r);
    }
    for (int step = 0; step < 20; ++step) {
      std::vector<float> sums(5, 1.0F);
      ASSERT_EQ(allreduce(session, "s", 0, sums).message(), "");
      EXPECT_THAT(sums, Each(static_cast<float>(session.topology().size)));
    }
    EXPECT_FALSE(waits && waits->settled());
    EXPECT_EQ(barrier(session, 0).message(), "");
    if (waits) {
      EXPECT_TRUE(session.shutdown());
      EXPECT_THAT(waits->status().message(), HasSubstr("message \"lonely 0->1\": "));
    }
  });
}

// Unnamed ones count for each way, whatever else a rank does.
TEST_P(Messages, WithoutANameMeetInTheirOrder) {
  run([](Session& session, int rank) {
    for (int64_t number = 0; number < 3 && rank < 3; ++number) {
      // 0 sends to 1 and to 2; 1 sends to 2.
      for (const Way way : {Way{0, 1}, Way{0, 2}, Way{1, 2}, Way{0, 2}}) {
        int64_t value = number * 100 + way.from * 10 + way.to;
        Request r = message("", way);
        r.signature.dtype = DType::Int64;
        r.in = &value;
        if (way.from != rank && way.to != rank)
          continue;
        const TicketPtr ticket = submit(session, r);
        ASSERT_EQ(ended(session, ticket).message(), "");
        if (way.to == rank) {
          EXPECT_EQ(*static_cast<const int64_t*>(ticket->outcome().data), value);
        }
      }
    }
    EXPECT_EQ(barrier(session, 0).message(), "");
  });
}

TEST_P(Messages, GoOnInASetAfterOthersWereRemoved) {
  run([](Session& session, int rank) {
    for (int round = 0; round < 3; ++round) {
      const Result<int64_t> id = add(session, {0, 2});
      ASSERT_TRUE(id) << id.status().message();
      const auto set = static_cast<uint32_t>(id.value());
      float value = static_cast<float>(round);
      TicketPtr ticket;
      if (rank % 2 == 0) {
        Request r = message("in a set", {2, 0}, set);
        r.in = &value;
        ticket = submit(session, r);
      }
      const Result<int64_t> gone = rank % 2 == 1 || ended(session, ticket).is_ok()
                                       ? remove(session, id.value())
                                       : Result<int64_t>(Status(Code::Internal, "not received"));
      ASSERT_TRUE(gone) << gone.status().message();
      if (rank == 0) {
        EXPECT_EQ(*static_cast<const float*>(ticket->outcome().data), value);
      }
    }
  });
}

TEST_P(Messages, WhatIsWrongIsToldToBothEnds) {
  run([](Session& session, int rank) {
    std::vector<double> values(4);
    for (const bool fits : {false, true}) {
      if (rank > 1)
        break;
      Request r = message("m", {1, 0});
      r.signature.dtype = DType::Float64;
      r.signature.shape = {rank == 1 || fits ? 4 : 3};
      r.in = rank == 1 ? values.data() : nullptr;
      r.out = rank == 0 ? values.data() : nullptr;
      const Status status = ended(session, submit(session, r));
      EXPECT_EQ(
          status.message(),
          fits ? ""
               : "message \"m 1->0\": rank 1 sends float64 [4], but rank 0 has memory for float64 "
                 "[3]; give memory for what is sent, or none");
      EXPECT_EQ(status.code(), fits ? Code::Ok : Code::Mismatch);
    }
    EXPECT_EQ(barrier(session, 0).message(), "");
  });
}

TEST_P(Messages, WhoDiesEndsThem) {
  run([](Session& session, int rank) {
    if (rank == 2) {
      EXPECT_TRUE(session.shutdown("its input ended early"));
      return;
    }
    const Status status = end(session, session.submit({message("never", {2, rank})}));
    EXPECT_EQ(status.code(), Code::PeerLost);
    EXPECT_EQ(status.culprit(), 2);
    EXPECT_THAT(status.message(), HasSubstr("left the job: its input ended early"));
  });
}

INSTANTIATE_TEST_SUITE_P(Everywhere, Messages, kEverywhere, name_of_place);

TEST(TwoRanks, SendToEachOther) {
  run_cluster(2, nullptr, [](Session& session, int rank) {
    std::vector<float> own(9, static_cast<float>(rank));
    const int other = 1 - rank;
    Request give = message("swap", {rank, other});
    give.signature.shape = {9};
    give.in = own.data();
    Result<std::vector<TicketPtr>> both = session.submit({give, message("swap", {other, rank})});
    ASSERT_TRUE(both) << both.status().message();
    for (const TicketPtr& ticket : both.value()) ASSERT_EQ(ended(session, ticket).message(), "");
    const auto* got = static_cast<const float*>(both.value()[1]->outcome().data);
    EXPECT_THAT(std::vector<float>(got, got + 9), Each(static_cast<float>(other)));
  });
}

}  // namespace
}  // namespace farandole::sets

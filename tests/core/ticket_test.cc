#include "core/ticket.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace farandole {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

TEST(Ticket, SettlesOnce) {
  Ticket ticket;
  int called = 0;
  ticket.on_settled([&](const Status& s) { called += s.is_ok() ? 1 : 100; });
  EXPECT_FALSE(ticket.settled());
  EXPECT_TRUE(ticket.settle({}));
  EXPECT_FALSE(ticket.settle({Code::Aborted, "late"}));
  EXPECT_TRUE(ticket.status().is_ok());
  EXPECT_EQ(called, 1);
}

TEST(Ticket, ACallbackSetLateIsCalledAtOnce) {
  Ticket ticket;
  ticket.settle({Code::Timeout, "x"});
  Code seen = Code::Ok;
  ticket.on_settled([&](const Status& s) { seen = s.code(); });
  EXPECT_EQ(seen, Code::Timeout);
}

TEST(Ticket, WaitingEndsAtTheDeadline) {
  Ticket ticket;
  EXPECT_FALSE(ticket.wait_until(steady_now() + 5ms));
}

TEST(Ticket, APokeWakesWithoutSettling) {
  Ticket ticket;
  ticket.poke();
  EXPECT_EQ(ticket.wait_poked(steady_now() + 10s), Ticket::Wake::Poked);
  EXPECT_EQ(ticket.wait_poked(steady_now() + 5ms), Ticket::Wake::Deadline);
  ticket.settle({});
  EXPECT_EQ(ticket.wait_poked(steady_now()), Ticket::Wake::Settled);
}

TEST(Ticket, OfManyThreadsThatSettleOneWins) {
  for (int round = 0; round < 200; ++round) {
    Ticket ticket;
    std::atomic<int> winners{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back([&] { winners += ticket.settle({}) ? 1 : 0; });
    EXPECT_TRUE(ticket.wait_until(steady_now() + 10s));
    for (std::thread& t : threads) t.join();
    EXPECT_EQ(winners, 1);
  }
}

}  // namespace
}  // namespace farandole

#include "core/inbox.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "tests/support/soon.h"

namespace farandole {
namespace {

using testing::soon;

uint64_t round_of(const Message& m) {
  return std::get<message::Agreed>(m).agreement.round;
}
Message round(uint64_t n) {
  return message::Agreed{{.round = n}};
}

TEST(Inbox, HandlesMessagesOfEachThreadInOrderOnOneThread) {
  ThreadLoop loop("inbox-test");
  std::vector<uint64_t> last(4, 0);
  uint64_t handled = 0;
  bool ordered = true;
  std::promise<void> all;
  auto inbox = std::make_shared<Inbox>(loop, [&](Message m) {
    const uint64_t value = round_of(m);
    ordered = ordered && loop.on_loop_thread() && value % 10000 == last[value / 10000] + 1;
    last[value / 10000] = value % 10000;
    if (++handled == 4000)
      all.set_value();
  });
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t i = 1; i <= 1000; ++i) EXPECT_TRUE(inbox->push(round(t * 10000 + i)));
    });
  }
  for (std::thread& t : threads) t.join();
  ASSERT_EQ(all.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_TRUE(inbox->close(soon()));
  EXPECT_TRUE(ordered);
}

TEST(Inbox, APushFromTheHandlerIsHandledAfterwards) {
  ThreadLoop loop("inbox-test");
  std::vector<uint64_t> order;
  std::promise<void> done;
  std::shared_ptr<Inbox> inbox;
  inbox = std::make_shared<Inbox>(loop, [&](Message m) {
    if (round_of(m) == 1)
      inbox->push(round(2));
    order.push_back(round_of(m));
    if (round_of(m) == 2)
      done.set_value();
  });
  inbox->push(round(1));
  ASSERT_EQ(done.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_TRUE(inbox->close(soon()));
  EXPECT_EQ(order, (std::vector<uint64_t>{1, 2}));
}

// A loop that runs nothing before it is told to.
class HeldLoop final : public EventLoop {
 public:
  void post(std::function<void()> task) override { tasks_.push_back(std::move(task)); }
  bool on_loop_thread() const noexcept override { return false; }
  void run() {
    for (auto& task : std::exchange(tasks_, {})) task();
  }

 private:
  std::vector<std::function<void()>> tasks_;
};

TEST(Inbox, ClosingLosesNoMessage) {
  HeldLoop loop;
  std::vector<uint64_t> order;
  auto inbox = std::make_shared<Inbox>(loop, [&](Message m) { order.push_back(round_of(m)); });
  EXPECT_TRUE(inbox->push(round(1)));
  EXPECT_TRUE(inbox->push(round(2)));
  EXPECT_TRUE(inbox->close(soon()));
  loop.run();
  EXPECT_EQ(order, (std::vector<uint64_t>{1, 2}));
}

// The loop goes on with its message and those behind it, and takes no other.
TEST(Inbox, ClosingDoesNotWaitForAHandlerThatBlocks) {
  std::promise<void> entered, gate;
  std::vector<uint64_t> order;
  ThreadLoop loop("inbox-test");
  auto inbox = std::make_shared<Inbox>(loop, [&](Message m) {
    if (round_of(m) == 1) {
      entered.set_value();
      gate.get_future().wait();
    }
    order.push_back(round_of(m));
  });
  EXPECT_TRUE(inbox->push(round(1)));
  entered.get_future().wait();
  EXPECT_TRUE(inbox->push(round(2)));
  EXPECT_FALSE(inbox->close(steady_now() + std::chrono::milliseconds(20)));
  EXPECT_FALSE(inbox->push(round(3)));
  gate.set_value();
  std::promise<void> later;
  loop.post([&] { later.set_value(); });  // behind all of the inbox's tasks
  ASSERT_EQ(later.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_EQ(order, (std::vector<uint64_t>{1, 2}));
}

TEST(Inbox, RefusesOnceClosed) {
  ThreadLoop loop("inbox-test");
  auto inbox = std::make_shared<Inbox>(loop, [](Message) {});
  EXPECT_TRUE(inbox->close(soon()));
  EXPECT_FALSE(inbox->push(round(1)));
}

}  // namespace
}  // namespace farandole

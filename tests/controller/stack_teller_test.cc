#include "controller/tcp/stack_teller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/base/mutex.h"

namespace farandole::control {
namespace {

using std::chrono_literals::operator""s;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class StackTellerTest : public ::testing::Test {
 protected:
  void make(StackTeller::Stacks stacks) {
    teller_ = std::make_shared<StackTeller>(
        io_, std::move(stacks), [this](uint64_t number, std::string text) {
          MutexLock lock(mutex_);
          answers_.emplace_back(number, std::move(text));
          came_.notify_all();
        });
  }
  void ask(uint64_t number) {
    io_->post([teller = teller_, number] { teller->ask(number); });
  }
  std::vector<std::pair<uint64_t, std::string>> answers(size_t count) {
    MutexLock lock(mutex_);
    const TimePoint deadline = steady_now() + 20s;
    while (answers_.size() < count && came_.wait_until(mutex_, deadline)) continue;
    return answers_;
  }
  bool stop(Duration patience = 10s) {
    EXPECT_TRUE(io_->run_and_wait([teller = teller_] { teller->close(); }));
    return teller_->stop(steady_now() + patience);
  }

  const std::shared_ptr<net::IoThread> io_ = std::make_shared<net::IoThread>("teller-test");
  std::shared_ptr<StackTeller> teller_;
  Mutex mutex_;
  CondVar came_;
  std::vector<std::pair<uint64_t, std::string>> answers_ FARANDOLE_GUARDED_BY(mutex_);
};

TEST_F(StackTellerTest, TellsWhatTheProgramSaysOnAThreadOfItsOwn) {
  make([this] { return io_->on_loop_thread() ? "on the loop" : "here"; });
  ask(1);
  EXPECT_THAT(answers(1), ElementsAre(Pair(1, "here")));
  ask(2);
  EXPECT_THAT(answers(2), ElementsAre(Pair(1, "here"), Pair(2, "here")));
  EXPECT_TRUE(stop());
  ask(3);
  EXPECT_TRUE(io_->run_and_wait([] {}));
  EXPECT_EQ(answers(2).size(), 2U);
}

// Who asks is on the loop, which waits for no thread.
TEST_F(StackTellerTest, AThreadThatIsLongInEndingDelaysNoQuestion) {
  struct SlowEnd {
    std::shared_future<void> go;
    ~SlowEnd() {
      if (go.valid())
        go.wait();
    }
  };
  std::promise<void> go;
  make([held = go.get_future().share()] {
    thread_local SlowEnd end;
    end.go = held;
    return "here";
  });
  for (const size_t number : {1, 2}) {
    ask(number);
    EXPECT_EQ(answers(number).size(), number);
  }
  go.set_value();
  EXPECT_TRUE(stop());
}

TEST_F(StackTellerTest, AProgramThatSaysNothingIsReportedSo) {
  make({});
  ask(1);
  EXPECT_THAT(answers(1), ElementsAre(Pair(1, HasSubstr("fdl_options.stacks"))));
  EXPECT_TRUE(stop());
}

TEST_F(StackTellerTest, OneThatThrowsToo) {
  make([]() -> std::string { throw std::runtime_error("no frames"); });
  ask(1);
  EXPECT_THAT(answers(1), ElementsAre(Pair(1, HasSubstr("no frames"))));
  EXPECT_TRUE(stop());
}

TEST_F(StackTellerTest, OneThatTakesTooLongDelaysNoAnswerAndIsAskedAgainWhenItHasComeBack) {
  std::promise<void> go;
  make([held = go.get_future().share()] {
    held.wait();
    return std::string("at last");
  });
  ask(1);
  EXPECT_THAT(answers(1), ElementsAre(Pair(1, HasSubstr("within 1.5 s"))));
  ask(2);
  EXPECT_THAT(answers(2).at(1), Pair(2, HasSubstr("within 1.5 s")));
  EXPECT_FALSE(stop(Duration(0)));
  go.set_value();
}

}  // namespace
}  // namespace farandole::control

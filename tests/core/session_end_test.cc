// How sessions end: by shutdown, with a failed job, beside a forked child.

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <future>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "tests/core/session_fixture.h"

namespace farandole::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> errors_while(const std::function<void()>& work) {
  std::vector<std::string> errors;
  set_log_sink([&](LogLevel level, std::string_view line) {
    if (level == LogLevel::Error)
      errors.emplace_back(line);
  });
  work();
  set_log_sink({});
  return errors;
}

// A collective that ignores its abort: it runs until let_go(), and then ends well.
class DeafCollectiveTest : public SessionTest {
 protected:
  // When this returns, it runs.
  TicketPtr begin() {
    run_ = [gate = gate_, entered = entered_](const CollectiveOp& op) {
      entered->set_value();
      gate->get_future().wait();
      return double_all(op);
    };
    shutdown_timeout_ = 50ms;
    start();
    TicketPtr ticket = submit(sum("x", values_));
    control_->wait_announced(1);
    agree({{.name = "x"}});
    entered_->get_future().wait();
    return ticket;
  }
  void let_go() { gate_->set_value(); }

  std::vector<float> values_{1};

 private:
  // The collective may outlive all else.
  const std::shared_ptr<std::promise<void>> gate_ = std::make_shared<std::promise<void>>();
  const std::shared_ptr<std::promise<void>> entered_ = std::make_shared<std::promise<void>>();
};

// Forming a group ends with the job, whatever it waits for.
TEST_F(SessionTest, AFailedJobInterruptsFormingAGroup) {
  std::promise<std::shared_ptr<const Interrupt>> given;
  connect_ = [&](const GroupSpec& spec) {
    given.set_value(spec.interrupt);
    pollfd end{spec.interrupt->fd(), POLLIN, 0};
    EXPECT_EQ(poll(&end, 1, 20000), 1);
    return spec.interrupt->status();
  };
  start();
  std::vector<float> values{1};
  const TicketPtr ticket = submit(sum("x", values));
  control_->wait_announced(1);
  agree({{.name = "x"}});
  EXPECT_TRUE(given.get_future().get()->status().is_ok());
  control_->sink().on_failure({.rank = 2, .host = "h", .cause = "died"});
  ASSERT_TRUE(session_->wait_until(*ticket, soon()));
  EXPECT_EQ(ticket->status().culprit(), 2);
}

TEST_F(SessionTest, ShutdownFinishesWhatWasAgreedAndAbortsTheRest) {
  start();
  std::vector<float> a{1};
  std::vector<float> b{1};
  const TicketPtr agreed = submit(sum("agreed", a));
  const TicketPtr waiting = submit(sum("waiting", b));
  control_->wait_announced(2);
  agree({{.name = "agreed"}});
  EXPECT_TRUE(session_->shutdown());
  EXPECT_TRUE(session_->shutdown());
  EXPECT_TRUE(control_->stopped);
  EXPECT_TRUE(agreed->settled() && agreed->status().is_ok());
  ASSERT_TRUE(waiting->settled());
  EXPECT_EQ(
      waiting->status(),
      Status(Code::Aborted, "allreduce \"waiting\": ended by this rank's shutdown"));
  EXPECT_EQ(session_->submit({sum("x", a)}).status().code(), Code::Aborted);
  EXPECT_EQ(session_->health().code(), Code::Aborted);
}

TEST_F(SessionTest, ShutdownAbortsACollectiveThatHangs) {
  std::promise<void> running;
  run_ = [&](const CollectiveOp&) {
    running.set_value();
    return communicator_.load()->wait_for_abort();
  };
  shutdown_timeout_ = 50ms;
  start();
  std::vector<float> a{1};
  const TicketPtr ticket = submit(sum("x", a));
  control_->wait_announced(1);
  agree({{.name = "x"}});
  ASSERT_EQ(running.get_future().wait_for(20s), std::future_status::ready);
  EXPECT_TRUE(session_->shutdown());
  ASSERT_TRUE(ticket->settled());
  EXPECT_EQ(ticket->status().code(), Code::Aborted);
}

// What it may still touch outlives the session: it ends well, after the session has gone.
TEST_F(DeafCollectiveTest, ACollectiveThatIgnoresItsAbortTouchesNothingFreed) {
  abort_limit_ = 50ms;
  const TicketPtr ticket = begin();
  session_.reset();
  EXPECT_FALSE(ticket->settled());
  let_go();
  EXPECT_TRUE(ticket->wait_until(soon()));
  EXPECT_THAT(values_, ElementsAre(2));
}

TEST_F(DeafCollectiveTest, WhoWaitsForACollectiveThatIgnoresItsAbortIsLetGo) {
  abort_limit_ = 50ms;
  const TicketPtr ticket = begin();
  auto waiter = std::async(std::launch::async, [&] {
    return session_->wait_until(*ticket, steady_now() + std::chrono::hours(1));
  });
  EXPECT_TRUE(session_->shutdown());
  EXPECT_FALSE(waiter.get());
  EXPECT_FALSE(ticket->settled());
  session_.reset();
  let_go();
  EXPECT_TRUE(ticket->wait_until(soon()));
}

// Its threads were not ended: what they use stays.
TEST_F(DeafCollectiveTest, AShutdownThatThrowsFreesNothingThatAThreadUses) {
  const TicketPtr ticket = begin();
  control_->no_memory = true;
  EXPECT_THROW(static_cast<void>(session_->shutdown()), std::bad_alloc);
  session_.reset();
  let_go();
  EXPECT_TRUE(ticket->wait_until(soon()));
  EXPECT_THAT(values_, ElementsAre(2));
}

TEST_F(SessionTest, NothingIsThrownWhereASessionIsOnlyDestroyed) {
  start();
  control_->no_memory = true;
  const std::vector<std::string> errors = errors_while([this] { session_.reset(); });
  EXPECT_THAT(
      errors, ElementsAre(HasSubstr("shutdown: std::bad_alloc; its threads and memory stay")));
}

// The engine's thread stands in the abort: the session ends all the same, and says whose fault it
// is; when the abort returns, nothing that is freed is touched.
TEST_F(SessionTest, AnAbortThatBlocksTheLoopIsLeftBehind) {
  const auto gate = std::make_shared<std::promise<void>>();
  const auto running = std::make_shared<std::promise<void>>();
  run_ = [this, running](const CollectiveOp&) {
    running->set_value();
    return communicator_.load()->wait_for_abort();
  };
  on_abort_ = [gate] { gate->get_future().wait(); };
  shutdown_timeout_ = abort_limit_ = 50ms;
  start();
  control_->loop_answers = false;
  std::vector<float> values{1};
  const TicketPtr ticket = submit(sum("x", values));
  const TicketPtr waiting = submit(sum("y", values));
  control_->wait_announced(2);
  agree({{.name = "x"}});
  running->get_future().wait();
  const std::vector<std::string> errors = errors_while([this] { session_.reset(); });
  EXPECT_THAT(
      errors,
      ElementsAre(HasSubstr("rank 0: allreduce \"x\" and 1 more did not end within 0.05 s of its "
                            "abort; its threads and memory stay until this process ends")));
  gate->set_value();
  EXPECT_TRUE(ticket->wait_until(soon()));
  EXPECT_FALSE(ticket->status().is_ok());
  EXPECT_TRUE(waiting->wait_until(soon()));
  EXPECT_EQ(waiting->status().code(), Code::Aborted);
}

// A start that failed with its loop blocked frees nothing either.
TEST_F(SessionTest, AStartThatFailedMayLeaveItsLoopBehind) {
  SessionParts parts;
  parts.config.size = 3;
  auto loop = std::make_shared<ThreadLoop>("session-test");
  const std::weak_ptr<ThreadLoop> left = loop;
  parts.loop = std::move(loop);
  auto control = std::make_unique<FakeControlPlane>(3);
  control->start_status = {Code::Timeout, "nobody came"};
  control->loop_answers = false;
  parts.control = std::move(control);
  EXPECT_EQ(Session::start(std::move(parts)).status().code(), Code::Timeout);
  EXPECT_FALSE(left.expired());
}

TEST_F(SessionTest, AForkedChildGetsAClearErrorAndHarmsNothing) {
  start();
  std::vector<float> a{1};
  const pid_t child = fork();
  if (child == 0) {
    const Status status = session_->submit({sum("x", a)}).status();
    session_.reset();
    _exit(
        status.code() == Code::Aborted && status.message().find("forked child") != std::string::npos
            ? 0
            : 1);
  }
  int how = 0;
  ASSERT_EQ(waitpid(child, &how, 0), child);
  EXPECT_EQ(how, 0);
  const TicketPtr ticket = submit(sum("x", a));
  control_->wait_announced(1);
  agree({{.name = "x"}});
  EXPECT_TRUE(session_->wait_until(*ticket, soon()));
}

}  // namespace
}  // namespace farandole::testing

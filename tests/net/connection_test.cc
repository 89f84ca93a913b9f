#include "core/net/connection.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <thread>

#include "core/base/yield_habit.h"
#include "core/net/framing.h"
#include "tests/net/net_support.h"
#include "tests/support/scheduling_delay.h"

namespace farandole::net {
namespace {

using ::testing::HasSubstr;

// A connection whose events land in mailboxes.
struct Box {
  Box(IoThread& on, Established socket, ConnectionLimits limits = {}) : io(on) {
    io.run_and_wait([&] {
      ConnectionEvents events;
      events.frame = [this](ByteSpan body) { frames.put(Bytes(body.begin(), body.end())); };
      events.drained = [this] { drained.put(true); };
      events.closed = [this](Status why) { closed.put(std::move(why)); };
      connection = std::make_unique<Connection>(io, std::move(socket), limits, std::move(events));
    });
  }
  ~Box() {
    io.run_and_wait([this] { connection.reset(); });
  }
  void send(std::vector<Bytes> bodies) {
    io.run_and_wait([&] {
      for (const Bytes& body : bodies) connection->send(body);
      connection->flush();
    });
  }
  IoThread& io;
  Mailbox<Bytes> frames;
  Mailbox<bool> drained;
  Mailbox<Status> closed;
  std::unique_ptr<Connection> connection;
};

TEST(Connection, CarriesFramesBothWaysInOrder) {
  IoThread io("test-io");
  Ends ends = established_pair();
  Box a(io, std::move(ends.a)), b(io, std::move(ends.b));
  a.send({{1}, {2, 2}, {}});
  EXPECT_EQ(b.frames.take(), Bytes({1}));
  EXPECT_EQ(b.frames.take(), Bytes({2, 2}));
  EXPECT_EQ(b.frames.take(), Bytes());
  EXPECT_TRUE(b.drained.take());
  b.send({{9}});
  EXPECT_EQ(a.frames.take(), Bytes({9}));
}

TEST(Connection, ManyLargeFramesPassThroughFullBuffers) {
  IoThread io("test-io");
  Ends ends = established_pair();
  Box a(io, std::move(ends.a)), b(io, std::move(ends.b));
  std::vector<Bytes> bodies;
  for (uint8_t i = 0; i < 20; ++i) bodies.emplace_back(1 << 20, i);
  a.send(bodies);
  for (const Bytes& body : bodies) ASSERT_EQ(b.frames.take(), body);
  io.run_and_wait([&] { EXPECT_EQ(a.connection->queued_bytes(), 0u); });
}

TEST(Connection, SaysOnceThatThePeerClosed) {
  IoThread io("test-io");
  Ends ends = established_pair();
  Box a(io, std::move(ends.a));
  auto b = std::make_unique<Box>(io, std::move(ends.b));
  b.reset();
  const std::optional<Status> why = a.closed.take();
  ASSERT_TRUE(why);
  EXPECT_EQ(why->code(), Code::PeerLost);
  a.send({{1}});
  EXPECT_FALSE(a.closed.take(50ms));
}

TEST(Connection, APeerThatDoesNotReadFailsAtTheBound) {
  IoThread io("test-io");
  Ends ends = established_pair();
  Box a(io, std::move(ends.a), {16 << 20, 8 << 20});
  for (int i = 0; i < 40; ++i) a.send({Bytes(1 << 20)});
  const std::optional<Status> why = a.closed.take();
  ASSERT_TRUE(why);
  EXPECT_THAT(why->message(), HasSubstr("it does not read"));
}

TEST(Connection, AForeignFrameEndsIt) {
  IoThread io("test-io");
  Ends ends = established_pair();
  Box a(io, std::move(ends.a));
  FrameSealer wrong(secret_of(77));
  Bytes bytes;
  append_frame(bytes, wrong, Bytes{1, 2, 3});
  ASSERT_TRUE(send_all(ends.b.fd.get(), bytes, steady_now() + kPatience).is_ok());
  const std::optional<Status> why = a.closed.take();
  ASSERT_TRUE(why);
  EXPECT_EQ(why->code(), Code::InvalidArgument);
}

TEST(Connection, SlowBytesArriveAllTheSame) {
  IoThread io("test-io");
  Ends ends = established_pair();
  Box a(io, std::move(ends.a));
  FrameSealer sealer(ends.b.keys.send);
  Bytes bytes;
  append_frame(bytes, sealer, Bytes{1, 2, 3});
  for (const uint8_t byte : bytes) {
    ASSERT_TRUE(send_all(ends.b.fd.get(), {&byte, 1}, steady_now() + kPatience).is_ok());
    io.run_and_wait([] {});
  }
  EXPECT_EQ(a.frames.take(), Bytes({1, 2, 3}));
}

// What the peer said before it closed is not lost, although this end wrote to it meanwhile.
TEST(Connection, LastWordsAreReadAfterAFailedWrite) {
  IoThread io("test-io");
  Ends ends = established_pair();
  Box a(io, std::move(ends.a));
  std::promise<void> let_go;
  io.post([&] { let_go.get_future().wait(); });
  FrameSealer sealer(ends.b.keys.send);
  Bytes bytes;
  append_frame(bytes, sealer, Bytes{5});
  ASSERT_TRUE(send_all(ends.b.fd.get(), bytes, steady_now() + kPatience).is_ok());
  ends.b.fd.reset();
  io.post([&] {
    for (int i = 0; i < 3; ++i) {
      a.connection->send(Bytes{1});
      a.connection->flush();
    }
  });
  let_go.set_value();
  EXPECT_EQ(a.frames.take(), Bytes({5}));
  EXPECT_TRUE(a.closed.take());
}

TEST(Connection, FinishSendsWhatIsQueuedAndWaitsForThePeer) {
  IoThread io("test-io");
  Ends ends = established_pair();
  Box a(io, std::move(ends.a)), b(io, std::move(ends.b));
  std::promise<void> done;
  io.run_and_wait([&] {
    a.connection->send(Bytes(4 << 20, 3));
    a.connection->finish(steady_now() + kPatience, [&] { done.set_value(); });
  });
  EXPECT_EQ(b.frames.take(), Bytes(4 << 20, 3));
  EXPECT_TRUE(b.closed.take());
  EXPECT_EQ(done.get_future().wait_for(kPatience), std::future_status::ready);
  EXPECT_FALSE(a.closed.take(50ms));
}

TEST(Connection, FinishGivesUpAtItsDeadline) {
  IoThread io("test-io");
  Ends ends = established_pair();
  Box a(io, std::move(ends.a));
  std::promise<void> done;
  io.run_and_wait([&] {
    a.connection->send(Bytes(16 << 20, 3));
    a.connection->finish(steady_now() + 50ms, [&] { done.set_value(); });
  });
  EXPECT_EQ(done.get_future().wait_for(kPatience), std::future_status::ready);
}

TEST(Connection, MayBeClosedFromItsOwnEvents) {
  IoThread io("test-io");
  Ends ends = established_pair();
  Box a(io, std::move(ends.a));
  std::unique_ptr<Connection> b;
  std::promise<void> seen;
  io.run_and_wait([&] {
    ConnectionEvents events;
    events.frame = [&](ByteSpan) {
      b.reset();
      seen.set_value();
    };
    events.drained = [] { FAIL() << "no event after close"; };
    events.closed = [](const Status&) { FAIL() << "no event after close"; };
    b = std::make_unique<Connection>(io, std::move(ends.b), ConnectionLimits{}, std::move(events));
  });
  a.send({{1}, {2}});
  EXPECT_EQ(seen.get_future().wait_for(kPatience), std::future_status::ready);
  EXPECT_TRUE(a.closed.take());
}

TEST(Connection, RaisesNoSigpipeAndChangesNoDisposition) {
  struct sigaction before {};
  sigaction(SIGPIPE, nullptr, &before);
  ASSERT_EQ(before.sa_handler, SIG_DFL) << "else the test proves nothing";
  IoThread io("test-io");
  Ends ends = established_pair();
  Box a(io, std::move(ends.a));
  ends.b.fd.reset();
  for (int i = 0; i < 10; ++i) a.send({{1}});
  EXPECT_TRUE(a.closed.take());
  struct sigaction after {};
  sigaction(SIGPIPE, nullptr, &after);
  EXPECT_EQ(after.sa_handler, SIG_DFL);
}

// A forked child that destroys what it inherited, and ends, disturbs nobody.
TEST(Connection, AForkedChildDoesNoHarm) {
  IoThread io("test-io");
  Ends ends = established_pair();
  auto a = std::make_unique<Box>(io, std::move(ends.a));
  Box b(io, std::move(ends.b));
  const pid_t child = fork();
  if (child == 0) {
    a->connection.reset();
    b.connection.reset();
    io.~IoThread();
    _exit(0);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  a->send({{1}});
  EXPECT_EQ(b.frames.take(), Bytes({1}));
  EXPECT_FALSE(b.closed.take(20ms));
}

// Death is told to the peer although a forked child still holds the socket.
TEST(Connection, CloseReachesThePeerPastAForkedChild) {
  IoThread io("test-io");
  Ends ends = established_pair();
  auto a = std::make_unique<Box>(io, std::move(ends.a));
  Box b(io, std::move(ends.b));
  int hold[2];
  ASSERT_EQ(pipe2(hold, O_CLOEXEC), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(hold[1]);
    char byte;
    _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
  }
  close(hold[0]);
  a.reset();
  EXPECT_TRUE(b.closed.take());
  close(hold[1]);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(IoThread, RunsTasksInOrderAndWhatWasPostedBeforeItEnds) {
  std::vector<int> order;
  {
    IoThread io("test-io");
    for (int i = 0; i < 100; ++i) io.post([&order, i] { order.push_back(i); });
    EXPECT_FALSE(io.on_loop_thread());
    bool on_loop = false;
    io.run_and_wait([&] { on_loop = io.on_loop_thread(); });
    EXPECT_TRUE(on_loop);
    io.post([&order] { order.push_back(100); });
  }
  ASSERT_EQ(order.size(), 101u);
  for (int i = 0; i <= 100; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

Duration used_by(clockid_t clock) {
  timespec used{};
  clock_gettime(clock, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

// Looking costs processor time, by which it is seen; it ends with the loop, or where others keep
// the core from it.
TEST(IoThread, LooksForAsLongAsItIsTold) {
  IoThread io("test-io");
  clockid_t clock{};
  pid_t thread = 0;
  io.run_and_wait([&] {
    EXPECT_EQ(pthread_getcpuclockid(pthread_self(), &clock), 0);
    thread = gettid();
  });
  const Duration before = used_by(clock);
  const farandole::testing::DelayWatch kept_from_it(getpid(), thread);
  io.linger(std::chrono::hours(1));
  io.run_and_wait([] {});
  const TimePoint deadline = steady_now() + std::chrono::seconds(20);
  while (used_by(clock) - before < 20ms && kept_from_it.total() < YieldHabit::kLong &&
         steady_now() < deadline)
    std::this_thread::yield();
  EXPECT_LT(steady_now(), deadline);
}

// Who waits for a turn of a blocked loop goes on at the deadline; a task that had not begun by then
// never runs.
TEST(IoThread, ATaskThatComesTooLateIsCalledOff) {
  const auto gate = std::make_shared<std::promise<void>>();
  const auto entered = std::make_shared<std::promise<void>>();
  const auto ran = std::make_shared<std::atomic<int>>(0);
  IoThread io("test-io");
  io.post([gate, entered] {
    entered->set_value();
    gate->get_future().wait();
  });
  entered->get_future().wait();
  EXPECT_FALSE(io.run_and_wait([ran] { ran->fetch_add(1); }, steady_now() + 20ms));
  gate->set_value();
  EXPECT_TRUE(io.run_and_wait([ran] { ran->fetch_add(10); }, steady_now() + kPatience));
  EXPECT_EQ(*ran, 10);
}

TEST(IoThread, TimersFireOnceAndNotWhenCancelled) {
  IoThread io("test-io");
  Mailbox<int> fired;
  std::optional<LoopTimer> kept, replaced, cancelled;
  io.run_and_wait([&] {
    kept.emplace(io);
    replaced.emplace(io);
    cancelled.emplace(io);
    cancelled->set(steady_now(), [&] { fired.put(3); });
    cancelled->cancel();
    replaced->set(steady_now(), [&] { fired.put(2); });
    replaced->set(steady_now() + 1ms, [&] { fired.put(20); });
    kept->set(steady_now() + 20ms, [&] { fired.put(1); });
  });
  EXPECT_EQ(fired.take(), 20);
  EXPECT_EQ(fired.take(), 1);
  io.run_and_wait([&] {
    kept.reset();
    replaced.reset();
    cancelled.reset();
  });
  EXPECT_FALSE(fired.take(20ms));
}

TEST(IoThread, LeavesNoDescriptorOrThreadBehind) {
  const auto round = [] {
    IoThread io("test-io");
    Ends ends = established_pair();
    Box a(io, std::move(ends.a)), b(io, std::move(ends.b));
    a.send({{1}});
    EXPECT_TRUE(b.frames.take());
  };
  round();
  const size_t fds = open_descriptors(), threads = live_threads();
  for (int i = 0; i < 20; ++i) round();
  EXPECT_EQ(open_descriptors(), fds);
  EXPECT_EQ(live_threads(), threads);
}

}  // namespace
}  // namespace farandole::net

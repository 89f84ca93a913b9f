#include "core/net/heartbeat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <future>

#include "core/net/process_card.h"
#include "tests/net/net_support.h"

namespace farandole::net {
namespace {

// Tells the test what happened; judges as the test says.
class ScriptedJudge final : public HeartbeatJudge {
 public:
  struct Log {
    Mailbox<int> watched, forgotten, beats;
    std::atomic<int> accuse{-1};
    Mailbox<bool> ticks;
  };
  explicit ScriptedJudge(Log& log) : log_(log) {}
  void watch(int rank, TimePoint) override { log_.watched.put(rank); }
  void forget(int rank) override { log_.forgotten.put(rank); }
  void on_beat(int rank, TimePoint) override { log_.beats.put(rank); }
  std::vector<Silence> tick(TimePoint) override {
    log_.ticks.put(true);
    const int rank = log_.accuse.exchange(-1);
    return rank < 0 ? std::vector<Silence>() : std::vector<Silence>{{rank, 3s}};
  }

 private:
  Log& log_;
};

struct Side {
  explicit Side(Duration interval = 5ms) {
    HeartbeatOptions options;
    options.interval = interval;
    options.judge = std::make_unique<ScriptedJudge>(log);
    options.silent = [this](int rank, Duration) { silent.put(rank); };
    options.ended = [this](int rank) { ended.put(rank); };
    auto started = Heartbeat::start(std::move(options));
    EXPECT_TRUE(started) << started.status().to_string();
    heartbeat = std::move(started).value();
  }
  ScriptedJudge::Log log;
  Mailbox<int> silent, ended;
  std::unique_ptr<Heartbeat> heartbeat;
};

TEST(Heartbeat, BeatsReachTheJudgeOfTheOtherSide) {
  Side zero, one;
  Ends ends = established_pair();
  zero.heartbeat->watch(1, std::move(ends.a));
  one.heartbeat->watch(0, std::move(ends.b));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(zero.log.beats.take(), 1);
    EXPECT_EQ(one.log.beats.take(), 0);
  }
  EXPECT_EQ(zero.log.watched.take(), 1);
}

// Who stops it goes on at the deadline; a later stop finds the thread ended.
TEST(Heartbeat, StopDoesNotWaitForACallbackThatBlocks) {
  std::promise<void> entered, gate;
  HeartbeatOptions options;
  options.interval = 5ms;
  ScriptedJudge::Log log;
  options.judge = std::make_unique<ScriptedJudge>(log);
  options.silent = [&](int, Duration) {
    entered.set_value();
    gate.get_future().wait();
  };
  options.ended = [](int) {};
  auto heartbeat = std::move(Heartbeat::start(std::move(options))).value();
  log.accuse = 1;
  entered.get_future().wait();
  EXPECT_FALSE(heartbeat->stop(steady_now() + 20ms));
  gate.set_value();
  EXPECT_TRUE(heartbeat->stop(steady_now() + kPatience));
  EXPECT_TRUE(heartbeat->stop(steady_now()));
}

TEST(Heartbeat, TheJudgesVerdictIsToldOnceAndEndsTheWatch) {
  Side zero;
  Ends ends = established_pair();
  zero.heartbeat->watch(1, std::move(ends.a));
  zero.log.accuse = 1;
  EXPECT_EQ(zero.silent.take(), 1);
  Bytes buffer(4096);
  Result<size_t> got = 1;
  while (got) got = receive_some(ends.b.fd.get(), buffer, steady_now() + kPatience);
  EXPECT_EQ(got.status().code(), Code::PeerLost) << "its connection is closed";
}

TEST(Heartbeat, ForgetEndsTheWatchWithoutAVerdict) {
  Side zero;
  Ends ends = established_pair();
  zero.heartbeat->watch(1, std::move(ends.a));
  EXPECT_EQ(zero.log.watched.take(), 1);
  EXPECT_EQ(zero.log.forgotten.take(), 1) << "watch replaces what was there";
  zero.heartbeat->forget(1);
  EXPECT_EQ(zero.log.forgotten.take(), 1);
}

TEST(Heartbeat, ABrokenOrForeignConnectionIsNoVerdictByItself) {
  Side zero;
  Ends ends = established_pair();
  zero.heartbeat->watch(1, std::move(ends.a));
  ASSERT_TRUE(send_all(ends.b.fd.get(), Bytes(64, 0xFF), steady_now() + kPatience).is_ok());
  ends.b.fd.reset();
  // Both were there to be read for at least four whole turns of the thread.
  while (zero.log.ticks.take(0ms)) {
  }
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(zero.log.ticks.take());
  EXPECT_FALSE(zero.silent.take(0ms));
  EXPECT_FALSE(zero.ended.take(0ms));
  EXPECT_FALSE(zero.log.beats.take(0ms)) << "an altered frame is no beat";
}

// Whether the other side closes this end, whose beats are read meanwhile, within `turns` of it.
bool is_closed(Side& side, int fd, int turns) {
  Bytes buffer(4096);
  for (int i = 0; i < turns; ++i) {
    EXPECT_TRUE(side.log.ticks.take());
    const ssize_t got = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN))
      return true;
  }
  return false;
}

// A beat has a byte, a card fewer than 64; what announces more is not waited for.
TEST(Heartbeat, AFrameBeyondTheBoundEndsTheConnectionAtItsHeader) {
  Side zero;
  Ends one = established_pair(), two = established_pair();
  zero.heartbeat->watch(1, std::move(one.a));
  zero.heartbeat->watch(2, std::move(two.a));
  EXPECT_TRUE(send_all(one.b.fd.get(), Bytes{0, 0, 0, 64, 0, 0, 0, 0}, steady_now() + 1s).is_ok());
  EXPECT_TRUE(send_all(two.b.fd.get(), Bytes{0, 0, 0, 65, 0, 0, 0, 0}, steady_now() + 1s).is_ok());
  EXPECT_TRUE(is_closed(zero, two.b.fd.get(), 200));
  EXPECT_FALSE(is_closed(zero, one.b.fd.get(), 5)) << "the longest there may be";
}

// What comes to a judge, in order: ranks that beat, and turns to judge.
class OrderJudge final : public HeartbeatJudge {
 public:
  static constexpr int kTick = 0;
  explicit OrderJudge(Mailbox<int>& all) : all_(all) {}
  void watch(int, TimePoint) override {}
  void forget(int) override {}
  void on_beat(int rank, TimePoint) override { all_.put(rank); }
  std::vector<Silence> tick(TimePoint) override {
    all_.put(kTick);
    return {};
  }

 private:
  Mailbox<int>& all_;
};

// Rank 1 beats without end, and has no more than its turn.
TEST(Heartbeat, AFloodOfBeatsKeepsNobodyElseFromBeingHeardOrJudged) {
  constexpr int kMany = 100000;
  Mailbox<int> all;
  HeartbeatOptions options;
  options.interval = 5ms;
  options.judge = std::make_unique<OrderJudge>(all);
  const auto heartbeat = std::move(Heartbeat::start(std::move(options))).value();
  Ends loud = established_pair(), quiet = established_pair();
  Bytes flood, beat;
  FrameSealer loud_sealer(loud.b.keys.send), quiet_sealer(quiet.b.keys.send);
  for (int i = 0; i < kMany; ++i) append_frame(flood, loud_sealer, Bytes{2});
  append_frame(beat, quiet_sealer, Bytes{2});
  heartbeat->watch(1, std::move(loud.a));
  heartbeat->watch(2, std::move(quiet.a));
  auto sent = std::async(std::launch::async, [&] {
    const TimePoint deadline = steady_now() + kPatience;
    const ByteSpan bytes(flood);
    const size_t half = bytes.size() / 2;
    return send_all(loud.b.fd.get(), bytes.first(half), deadline).is_ok() &&
           send_all(quiet.b.fd.get(), beat, deadline).is_ok() &&
           send_all(loud.b.fd.get(), bytes.subspan(half), deadline).is_ok();
  });
  int beats = 0, turns = 0, heard_after = -1;
  while (beats < kMany) {
    const std::optional<int> next = all.take();
    ASSERT_TRUE(next) << "after " << beats;
    beats += *next == 1;
    turns += *next == OrderJudge::kTick && beats > 0;
    if (*next == 2)
      heard_after = beats;
  }
  EXPECT_GE(turns, 4);
  EXPECT_GE(heard_after, 0) << "the quiet one was not heard before the flood was over";
  EXPECT_TRUE(sent.get());
}

// A child of this process that holds copies of its sockets, so that no end-of-file tells of its
// end, for as long as somebody else holds the pipe.
void leave_an_heir(int (&hold)[2]) {
  close(hold[1]);
  if (fork() != 0)
    return;
  char byte;
  _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
}

TEST(Heartbeat, TheEndOfAProcessOfThisMachineIsSeenAtOnce) {
  Ends ends = established_pair();
  int hold[2];
  ASSERT_EQ(pipe(hold), 0);
  const pid_t child = fork();
  if (child == 0) {
    leave_an_heir(hold);
    Side one;
    one.heartbeat->watch(0, std::move(ends.b));
    while (!one.log.beats.take()) {
    }
    for (int i = 0; i < 3; ++i) one.log.beats.take();
    kill(getpid(), SIGKILL);
  }
  close(hold[0]);
  ends.b.fd.reset();
  Side zero;
  zero.heartbeat->watch(1, std::move(ends.a));
  EXPECT_EQ(zero.ended.take(), 1);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  close(hold[1]);
}

// The process dies before its heartbeat thread, which a callback blocks, has had a turn.
TEST(Heartbeat, TheEndOfAProcessThatHasOnlyBegunToBeWatchedIsSeenAtOnce) {
  Ends ends = established_pair();
  int hold[2];
  ASSERT_EQ(pipe(hold), 0);
  const pid_t child = fork();
  if (child == 0) {
    leave_an_heir(hold);
    std::promise<void> entered;
    ScriptedJudge::Log log;
    HeartbeatOptions options;
    options.interval = 5ms;
    options.judge = std::make_unique<ScriptedJudge>(log);
    options.silent = [&](int, Duration) {
      entered.set_value();
      char byte;
      static_cast<void>(read(hold[0], &byte, 1));
    };
    const auto heartbeat = std::move(Heartbeat::start(std::move(options))).value();
    log.accuse = 1;
    entered.get_future().wait();
    heartbeat->watch(0, std::move(ends.b));
    kill(getpid(), SIGKILL);
  }
  close(hold[0]);
  ends.b.fd.reset();
  Side zero;
  zero.heartbeat->watch(1, std::move(ends.a));
  EXPECT_EQ(zero.ended.take(), 1);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  close(hold[1]);
}

// While a forked child holds a copy of a socket that has ended, its events must not keep the thread
// busy.
TEST(Heartbeat, AnEndedConnectionThatAForkedChildHoldsCostsNothing) {
  Ends ends = established_pair();
  int hold[2];
  ASSERT_EQ(pipe(hold), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(hold[1]);
    char byte;
    _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
  }
  close(hold[0]);
  {
    Side zero(10ms);
    zero.heartbeat->watch(1, std::move(ends.a));
    EXPECT_EQ(zero.log.watched.take(), 1);
    shutdown(ends.b.fd.get(), SHUT_RDWR);
    for (int i = 0; i < 5; ++i) zero.log.ticks.take();
    const clock_t before = clock();
    for (int i = 0; i < 50; ++i) zero.log.ticks.take();
    EXPECT_LT(static_cast<double>(clock() - before) / CLOCKS_PER_SEC, 0.25) << "of 0.5 s or more";
  }
  close(hold[1]);
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(Heartbeat, LeavesNoDescriptorOrThreadBehind) {
  const auto round = [] {
    Side zero, one;
    Ends ends = established_pair();
    zero.heartbeat->watch(1, std::move(ends.a));
    one.heartbeat->watch(0, std::move(ends.b));
    EXPECT_EQ(zero.log.beats.take(), 1);
  };
  round();
  const size_t fds = open_descriptors(), threads = live_threads();
  for (int i = 0; i < 10; ++i) round();
  EXPECT_EQ(open_descriptors(), fds);
  EXPECT_EQ(live_threads(), threads);
}

TEST(ProcessCard, SurvivesTheWireAndRefusesJunk) {
  const ProcessCard own = ProcessCard::own();
  EXPECT_EQ(own.pid, getpid());
  EXPECT_EQ(own.boot.size(), 36u);
  Bytes bytes;
  own.encode(bytes);
  ByteReader reader(bytes);
  EXPECT_EQ(ProcessCard::decode(reader), own);
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    ByteReader shorter(ByteSpan(bytes).first(cut));
    EXPECT_FALSE(ProcessCard::decode(shorter));
  }
  bytes.push_back(0);
  ByteReader longer(bytes);
  EXPECT_FALSE(ProcessCard::decode(longer));
}

TEST(ProcessCard, WatchesOnlyProcessesOfThisMachineAndNamespace) {
  const ProcessCard own = ProcessCard::own();
  ProcessCard parent = own;
  parent.pid = getppid();
  EXPECT_TRUE(watch_process(own, parent));
  EXPECT_FALSE(watch_process(own, own)) << "not itself";
  ProcessCard elsewhere = parent;
  elsewhere.boot = "00000000-0000-0000-0000-000000000000";
  EXPECT_FALSE(watch_process(own, elsewhere));
  ProcessCard container = parent;
  container.pid_space += 1;
  EXPECT_FALSE(watch_process(own, container));
}

TEST(ProcessCard, AProcessThatNobodyKnowsAnyMoreHasEnded) {
  const pid_t child = fork();
  if (child == 0)
    _exit(0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  const ProcessCard own = ProcessCard::own();
  ProcessCard gone = own;
  gone.pid = child;
  const UniqueFd watched = watch_process(own, gone);
  pollfd waits{watched.get(), POLLIN, 0};
  EXPECT_EQ(poll(&waits, 1, 0), 1);
}

}  // namespace
}  // namespace farandole::net

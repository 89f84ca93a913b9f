// Ranks that are processes, and die or freeze as processes do.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "tests/controller/tcp_job.h"

namespace farandole {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

// A pipe whose other end says, by closing, that this process is done.
struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
  }
  // Blocks until the writers have gone, or one byte came.
  void wait() const {
    char byte;
    static_cast<void>(read(read_end.get(), &byte, 1));
  }
  UniqueFd read_end, write_end;
};

// A rank in a process of its own, forked while this one has a single thread.
class ChildRank {
 public:
  // `once_formed` runs in the child; the child then waits to be killed.
  ChildRank(TcpControlPlaneOptions options, const std::function<void(TcpRank&)>& once_formed) {
    pid_ = fork();
    if (pid_ != 0)
      return;
    hold_.write_end.reset();
    TcpRank rank(std::move(options));
    if (!rank.start().is_ok())
      _exit(1);
    once_formed(rank);
    hold_.wait();
    _exit(0);
  }
  ~ChildRank() {
    kill(pid_, SIGKILL);
    EXPECT_EQ(waitpid(pid_, nullptr, 0), pid_);
  }
  void signal(int number) const { EXPECT_EQ(kill(pid_, number), 0); }

 private:
  Pipe hold_;  // the child must not outlive this process
  pid_t pid_ = -1;
};

TEST(TcpProcess, AKilledWorkerIsNamedAtOnce) {
  ReservedPort port;
  const ChildRank one(options_of(1, 2, port), [](TcpRank&) {});
  TcpRank zero(options_of(0, 2, port));
  ASSERT_TRUE(zero.start().is_ok());
  const TimePoint begin = steady_now();
  one.signal(SIGKILL);
  const PeerFailure failure = zero.sink.failures(1).at(0);
  EXPECT_EQ(failure.rank, 1);
  EXPECT_FALSE(failure.left);
  EXPECT_THAT(
      failure.cause,
      AnyOf(
          HasSubstr("connection closed"),
          HasSubstr("connection reset"),
          HasSubstr("its process ended")));
  EXPECT_LT(steady_now() - begin, 2s) << "not by its silence, which takes 3 s";
}

// Between its goodbye and the end of what it had agreed to, a rank is watched like any other.
TEST(TcpProcess, AWorkerKilledAfterItsGoodbyeIsNamedAtOnce) {
  ReservedPort port;
  const ChildRank one(options_of(1, 2, port), [](TcpRank& rank) { rank.plane->leave("shutdown"); });
  TcpRank zero(options_of(0, 2, port));
  ASSERT_TRUE(zero.start().is_ok());
  EXPECT_TRUE(zero.sink.failures(1).at(0).left);
  const TimePoint begin = steady_now();
  one.signal(SIGKILL);
  const PeerFailure failure = zero.sink.failures(2).at(1);
  EXPECT_EQ(failure.rank, 1);
  EXPECT_FALSE(failure.left);
  EXPECT_LT(steady_now() - begin, 2s);
}

TEST(TcpProcess, ARankZeroKilledAfterItsGoodbyeIsNamedAtOnce) {
  ReservedPort port;
  const ChildRank zero(
      options_of(0, 2, port), [](TcpRank& rank) { rank.plane->leave("shutdown"); });
  TcpRank one(options_of(1, 2, port));
  ASSERT_TRUE(one.start().is_ok());
  EXPECT_TRUE(one.sink.failures(1).at(0).left);
  const TimePoint begin = steady_now();
  zero.signal(SIGKILL);
  const PeerFailure failure = one.sink.failures(2).at(1);
  EXPECT_EQ(failure.rank, 0);
  EXPECT_FALSE(failure.left);
  EXPECT_LT(steady_now() - begin, 2s);
}

TEST(TcpProcess, AKilledRankZeroIsNamedAtOnce) {
  ReservedPort port;
  const ChildRank zero(options_of(0, 2, port), [](TcpRank&) {});
  TcpRank one(options_of(1, 2, port));
  ASSERT_TRUE(one.start().is_ok());
  const TimePoint begin = steady_now();
  zero.signal(SIGKILL);
  EXPECT_EQ(one.sink.failures(1).at(0).rank, 0);
  EXPECT_LT(steady_now() - begin, 2s);
}

// A child that outlives the rank, made by `fork_one`; what was said of the rank's death.
PeerFailure death_beside_a_child(const std::function<pid_t()>& fork_one) {
  ReservedPort port;
  Pipe grandchild, forked;
  const ChildRank one(options_of(1, 2, port), [&](TcpRank&) {
    if (fork_one() == 0) {
      // Bare calls: sanitizers know nothing of a clone.
      char byte;
      syscall(SYS_close, grandchild.write_end.get());
      syscall(SYS_read, grandchild.read_end.get(), &byte, 1);
      syscall(SYS_exit_group, 0);
    }
    static_cast<void>(write(forked.write_end.get(), "f", 1));
  });
  TcpRank zero(options_of(0, 2, port));
  EXPECT_TRUE(zero.start().is_ok());
  forked.wait();
  const TimePoint begin = steady_now();
  one.signal(SIGKILL);
  PeerFailure failure = zero.sink.failures(1).at(0);
  EXPECT_EQ(failure.rank, 1);
  EXPECT_LT(steady_now() - begin, 2s);
  return failure;
}

// A worker process of the rank (a data loader, say) survives it, but has given up its sockets.
TEST(TcpProcess, AKilledRankIsNamedAtOnceAlthoughItsForkedChildLives) {
  EXPECT_EQ(
      death_beside_a_child([] { return fork(); }).cause,
      "connection closed, as when a process ends without shutdown");
}

// No handler of fork(3) runs, so the child holds the sockets and no end-of-file comes.
TEST(TcpProcess, AKilledRankIsNamedAtOnceAlthoughACloneOfItHoldsItsSockets) {
  EXPECT_EQ(
      death_beside_a_child([] {
        return static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
      }).cause,
      "its process ended");
}

TEST(TcpProcess, AFrozenWorkerIsNamedByItsSilence) {
  ReservedPort port;
  const ChildRank one(options_of(1, 2, port), [](TcpRank&) {});
  TcpControlPlaneOptions options = options_of(0, 2, port);
  options.config.heartbeat_interval = 50ms;
  options.config.heartbeat_timeout = 1s;
  TcpRank zero(std::move(options));
  ASSERT_TRUE(zero.start().is_ok());
  one.signal(SIGSTOP);
  const PeerFailure failure = zero.sink.failures(1).at(0);
  EXPECT_EQ(failure.rank, 1);
  EXPECT_THAT(failure.cause, says_silent_for_a_second());
  one.signal(SIGCONT);
}

}  // namespace
}  // namespace farandole

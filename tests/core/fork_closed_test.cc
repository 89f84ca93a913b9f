#include "core/base/fork_closed.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <functional>
#include <thread>
#include <utility>

#include "core/base/unique_fd.h"

namespace farandole {
namespace {

constexpr int kPatience = 20'000;  // milliseconds

using Ends = std::pair<UniqueFd, UniqueFd>;

// The first end is one that children give up.
Ends connected() {
  int ends[2] = {-1, -1};
  const int own = closed_on_fork(
      [&] { return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0 ? ends[0] : -1; });
  EXPECT_GE(own, 0);
  return {UniqueFd(own), UniqueFd(ends[1])};
}

bool is_socket(int fd) {
  struct stat found {};
  return fstat(fd, &found) == 0 && S_ISSOCK(found.st_mode);
}

int sockets() {
  int found = 0;
  for (int fd = 0; fd < 64; ++fd) found += is_socket(fd) ? 1 : 0;
  return found;
}

bool has_ended(int fd) {
  pollfd entry{fd, POLLIN, 0};
  char byte;
  return poll(&entry, 1, kPatience) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

// The exit code of a child that runs `body`.
int in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0)
    _exit(body());
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A child that does nothing until the other end of a pipe is closed.
class IdleChild {
 public:
  IdleChild() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd waits(ends[0]);
    hold_ = UniqueFd(ends[1]);
    pid_ = fork();
    if (pid_ != 0)
      return;
    hold_.reset();
    char byte;
    _exit(read(waits.get(), &byte, 1) == 0 ? 0 : 1);
  }
  ~IdleChild() {
    hold_.reset();
    int status = -1;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    EXPECT_EQ(status, 0);
  }

 private:
  UniqueFd hold_;
  pid_t pid_ = -1;
};

TEST(ForkClosed, ThePeerHearsTheEndAlthoughAChildLives) {
  Ends ends = connected();
  const IdleChild child;
  ends.first.reset();
  EXPECT_TRUE(has_ended(ends.second.get()));
}

TEST(ForkClosed, TheParentAndItsPeerNoticeNothing) {
  Ends ends = connected();
  const UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLIN;
  ASSERT_EQ(epoll_ctl(epoll.get(), EPOLL_CTL_ADD, ends.first.get(), &event), 0);
  EXPECT_EQ(in_child([] { return 0; }), 0);
  epoll_event seen{};
  EXPECT_EQ(epoll_wait(epoll.get(), &seen, 1, 0), 0);
  ASSERT_EQ(send(ends.second.get(), "x", 1, MSG_NOSIGNAL), 1);
  EXPECT_EQ(epoll_wait(epoll.get(), &seen, 1, kPatience), 1) << "it has left the epoll set";
  EXPECT_EQ(send(ends.first.get(), "y", 1, MSG_NOSIGNAL), 1);
  char byte = 0;
  EXPECT_EQ(recv(ends.second.get(), &byte, 1, MSG_DONTWAIT), 1);
  EXPECT_EQ(byte, 'y');
}

// Else the destructor of a socket would close a file that the child has opened since.
TEST(ForkClosed, TheNumberStaysTakenAndIsNotPassedOn) {
  const Ends ends = connected();
  EXPECT_EQ(
      in_child([&] {
        const int fd = ends.first.get();
        if (is_socket(fd) || fcntl(fd, F_GETFD) != FD_CLOEXEC)
          return 1;
        const UniqueFd next(open("/dev/null", O_RDONLY | O_CLOEXEC));
        return next.get() != fd && is_socket(ends.second.get()) ? 0 : 2;
      }),
      0);
}

TEST(ForkClosed, AnotherFileThatGotTheNumberIsLeftAlone) {
  Ends gone = connected();
  const Ends others = connected();
  const int number = gone.first.get();
  gone.first.reset();
  ASSERT_EQ(dup3(others.second.get(), number, O_CLOEXEC), number);
  const UniqueFd reused(number);
  EXPECT_EQ(in_child([&] { return is_socket(number) ? 0 : 1; }), 0);
}

TEST(ForkClosed, AChildsOwnSocketsAreClosedInItsChildren) {
  const Ends before = connected();
  EXPECT_EQ(
      in_child([&] {
        const Ends own = connected();
        return is_socket(own.first.get())
                   ? in_child([&] { return is_socket(own.first.get()) ? 3 : 0; })
                   : 2;
      }),
      0);
  EXPECT_TRUE(is_socket(before.first.get()));
}

TEST(ForkClosed, AlsoWhereNoDescriptorIsLeft) {
  EXPECT_EQ(
      in_child([] {
        Ends one = connected(), two = connected();
        rlimit limit{};
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = 0;
        setrlimit(RLIMIT_NOFILE, &limit);
        return in_child(
            [&] { return is_socket(one.first.get()) || is_socket(two.first.get()) ? 1 : 0; });
      }),
      0);
}

TEST(ForkClosed, TellsWhyNoSocketWasMade) {
  errno = 0;
  EXPECT_EQ(closed_on_fork([] { return socket(-1, SOCK_STREAM, 0); }), -1);
  EXPECT_EQ(errno, EAFNOSUPPORT);
}

int made_socket() {
  return closed_on_fork([] { return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); });
}

// Ends a thread that goes on until `done`, also where the test ends early.
struct Ended {
  std::atomic<bool>& done;
  std::thread& thread;
  ~Ended() {
    done = true;
    thread.join();
  }
};

// Whenever another thread forks: its child has none of them.
TEST(ForkClosed, NoForkComesBetweenTheSocketAndItsEntry) {
  const int inherited = sockets();
  std::atomic<bool> done{false};
  std::atomic<int> made{0};
  std::thread maker([&] {
    while (!done) {
      const UniqueFd fd(made_socket());
      ++made;
    }
  });
  const Ended ended{done, maker};
  while (made == 0) std::this_thread::yield();
  for (int i = 0; i < 200; ++i) ASSERT_EQ(in_child(sockets), inherited);
}

// ThreadSanitizer starts a thread in every forked child, and then calls the memory that takes
// unsafe where a handler had forked.
#ifdef __SANITIZE_THREAD__
constexpr bool kHandlersMayFork = false;
#else
constexpr bool kHandlersMayFork = true;
#endif

// Of a handler of SIGUSR1, which forks: the sockets that its child has.
volatile sig_atomic_t sockets_in_child = -1;

void forks(int /*number*/) {
  sockets_in_child = in_child(sockets);
}

class HandlerForks {
 public:
  HandlerForks() {
    sockets_in_child = -1;
    before_ = std::signal(SIGUSR1, forks);
  }
  ~HandlerForks() { std::signal(SIGUSR1, before_); }
  HandlerForks(const HandlerForks&) = delete;
  HandlerForks& operator=(const HandlerForks&) = delete;

 private:
  void (*before_)(int);
};

bool is_blocked(int number) {
  sigset_t blocked;
  pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  return sigismember(&blocked, number) == 1;
}

TEST(ForkClosed, AHandlerForksAfterTheEntry) {
  if (!kHandlersMayFork)
    GTEST_SKIP() << "ThreadSanitizer reports its own thread in the child of a handler's fork";
  const int inherited = sockets();
  const HandlerForks handler;
  const UniqueFd fd(closed_on_fork([] {
    const int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    raise(SIGUSR1);
    EXPECT_EQ(sockets_in_child, -1);
    return made;
  }));
  EXPECT_TRUE(is_socket(fd.get()));
  EXPECT_EQ(sockets_in_child, inherited);
  EXPECT_FALSE(is_blocked(SIGUSR1));
}

// A handler of fork(3)'s that runs behind those of closed_on_fork, as this one was there first.
bool raise_before_fork = false;
[[maybe_unused]] const int registered = pthread_atfork(
    [] {
      if (std::exchange(raise_before_fork, false))
        raise(SIGUSR1);
    },
    nullptr,
    nullptr);

TEST(ForkClosed, AHandlerMayForkWhileItsThreadForks) {
  if (!kHandlersMayFork)
    GTEST_SKIP() << "ThreadSanitizer reports its own thread in the child of a handler's fork";
  const int inherited = sockets();
  const UniqueFd fd(made_socket());
  const HandlerForks handler;
  raise_before_fork = true;
  EXPECT_EQ(in_child([&] { return is_blocked(SIGUSR1) ? 100 : sockets(); }), inherited);
  EXPECT_EQ(sockets_in_child, inherited);
  EXPECT_FALSE(is_blocked(SIGUSR1));
}

}  // namespace
}  // namespace farandole

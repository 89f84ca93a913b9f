// Ranks as processes: what their deaths do to each other.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

#include "collectives/shm/connect.h"
#include "tests/support/reaction.h"
#include "tests/support/shared_store.h"

namespace farandole::shm {
namespace {

using namespace std::chrono_literals;

GroupSpec job_of(int index, int size) {
  GroupSpec spec;
  spec.tag = "group";
  spec.job = "job";
  spec.index = index;
  for (int i = 0; i < size; ++i) spec.members.push_back({10 + i, "host", 0, "127.0.0.1"});
  return spec;
}

Status allreduce(Communicator& communicator, std::vector<float>& data) {
  const Segment segment{data.data(), data.data(), data.size()};
  CollectiveOp op;
  op.reduce = ReduceOp::Average;
  op.segments = {&segment, 1};
  op.name = "grad";
  return communicator.run(op, 0);
}

// One line to the parent, and one from it.
struct Wires {
  Wires() {
    EXPECT_EQ(::pipe(up.data()), 0);
    EXPECT_EQ(::pipe(down.data()), 0);
  }
  ~Wires() {
    for (const int fd : {up[0], up[1], down[0], down[1]}) ::close(fd);
  }
  Wires(const Wires&) = delete;
  Wires& operator=(const Wires&) = delete;

  static void tell(int fd) { EXPECT_EQ(::write(fd, "x", 1), 1); }
  static void hear(int fd) {
    char byte = 0;
    EXPECT_EQ(::read(fd, &byte, 1), 1);
  }
  std::array<int, 2> up{}, down{};
};

// Forks ranks that run `body`; its result is the exit status. Ends those that are left.
class Processes {
 public:
  using Body = std::function<int(int rank, Communicator& communicator)>;

  Processes(int size, const Config& config, const Body& body) {
    for (int rank = 0; rank < size; ++rank) {
      const pid_t child = ::fork();
      if (child == 0) {
        auto made = connect(job_of(rank, size), store_, config);
        std::_Exit(made ? body(rank, *made.value()) : 99);
      }
      children_.push_back(child);
    }
  }
  ~Processes() {
    for (const pid_t child : children_) {
      if (child != 0) {
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
      }
    }
  }
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  void signal(int rank, int number) const { ::kill(children_[static_cast<size_t>(rank)], number); }
  void stop(int rank) const {
    signal(rank, SIGSTOP);
    ::waitpid(children_[static_cast<size_t>(rank)], nullptr, WUNTRACED);
  }
  int wait(int rank) {
    int status = -1;
    pid_t& child = children_[static_cast<size_t>(rank)];
    ::waitpid(child, &status, 0);
    child = 0;
    return status;
  }

 private:
  testing::SharedStore store_;
  std::vector<pid_t> children_;
};

// The survivor of a SIGKILL waits until it is told, then returns at once with what it was told.
TEST(ShmProcesses, ASurvivorEndsWhenItIsTold) {
  Wires wires;
  Config config;
  config.data_timeout = 60s;
  Processes processes(2, config, [&](int rank, Communicator& communicator) {
    const Status lost(Code::PeerLost, "rank 11 died");
    testing::Reaction reaction(testing::promised(100ms));
    std::thread control([&, rank] {
      if (rank == 0) {
        Wires::hear(wires.down[0]);
        reaction.begin();
        communicator.abort(lost);
        reaction.told();
      }
    });
    std::vector<float> data(1 << 20, 1.0F);
    int result = 1;
    for (int i = 0;; ++i) {
      const Status status = allreduce(communicator, data);
      if (!status) {
        reaction.returned();
        result = status == lost ? 0 : 2;
        break;
      }
      if (i == 20)
        Wires::tell(wires.up[1]);
    }
    control.join();
    if (const std::string late = reaction.complaint(); !late.empty()) {
      std::fprintf(stderr, "%s\n", late.c_str());
      result = 3;
    }
    return result;
  });
  Wires::hear(wires.up[0]);
  Wires::hear(wires.up[0]);
  processes.signal(1, SIGKILL);
  EXPECT_TRUE(WIFSIGNALED(processes.wait(1)));
  Wires::tell(wires.down[1]);
  EXPECT_EQ(processes.wait(0), 0);
}

// Without being told it finds out by itself, naming the dead.
TEST(ShmProcesses, ASurvivorTimesOut) {
  Config config;
  config.data_timeout = 2s;
  Processes processes(2, config, [&](int rank, Communicator& communicator) {
    std::vector<float> data(1 << 18, 1.0F);
    for (int i = 0;; ++i) {
      if (rank == 1 && i == 10)
        ::raise(SIGKILL);
      const Status status = allreduce(communicator, data);
      if (!status) {
        const bool named = status.message().find("rank 11") != std::string::npos;
        return status.code() == Code::Timeout && status.culprit() == 11 && named ? 0 : 1;
      }
    }
  });
  EXPECT_TRUE(WIFSIGNALED(processes.wait(1)));
  EXPECT_EQ(processes.wait(0), 0);
}

// Who has finished may leave while others still read what it wrote.
TEST(ShmProcesses, LeavingEarlyHarmsNobody) {
  Processes processes(3, Config{}, [&](int rank, Communicator& communicator) {
    for (int i = 0; i < 50; ++i) {
      std::vector<float> data(300001, static_cast<float>(rank + i));
      if (!allreduce(communicator, data) || data.front() != static_cast<float>(1 + i) ||
          data.back() != static_cast<float>(1 + i))
        return 1;
    }
    return 0;
  });
  for (int rank = 0; rank < 3; ++rank) EXPECT_EQ(processes.wait(rank), 0);
}

// A job that was stopped and goes on (Ctrl-Z, fg) blames nobody, though its deadlines passed.
TEST(ShmProcesses, AStoppedJobGoesOn) {
  Wires wires;
  Config config;
  config.data_timeout = 2s;
  Processes processes(2, config, [&](int rank, Communicator& communicator) {
    std::vector<float> data(1000, 1.0F);
    const auto one = [&] { return allreduce(communicator, data).is_ok(); };
    for (int i = 0; i < 20; ++i) {
      if (!one())
        return 1;
    }
    // Rank 1 computes for a while; rank 0 waits for it.
    if (rank == 1)
      Wires::hear(wires.down[0]);
    else
      Wires::tell(wires.up[1]);
    return one() ? 0 : 2;
  });
  Wires::hear(wires.up[0]);
  for (const int rank : {1, 0}) {
    processes.stop(rank);
  }
  std::this_thread::sleep_for(3500ms);  // longer than data_timeout: what is tested
  Wires::tell(wires.down[1]);
  for (const int rank : {0, 1}) processes.signal(rank, SIGCONT);
  EXPECT_EQ(processes.wait(0), 0);
  EXPECT_EQ(processes.wait(1), 0);
}

}  // namespace
}  // namespace farandole::shm

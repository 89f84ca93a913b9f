// How long the end of a mesh waits for a peer that does not read, or reads late.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <future>
#include <thread>

#include "collectives/gloo/transport/frame.h"
#include "tests/gloo/group.h"
#include "tests/gloo/tcp_pair.h"

namespace farandole::testing {
namespace {

using namespace std::chrono_literals;
using gloo_transport::Mesh;

constexpr Duration kLong = 60s;

// Sends until the kernel takes no more, which is more than the other end's kernel can have
// acknowledged while nobody reads there.
size_t fill(int fd) {
  const std::array<char, 65536> bytes{};
  size_t total = 0;
  for (ssize_t sent = 0; sent >= 0; total += static_cast<size_t>(std::max<ssize_t>(sent, 0)))
    sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  EXPECT_EQ(errno, EAGAIN);
  return total;
}

// Until the other end has closed its sending half.
size_t read_all(int fd) {
  std::array<char, 65536> bytes;
  size_t total = 0;
  pollfd readable{fd, POLLIN, 0};
  while (::poll(&readable, 1, 30000) == 1) {
    const ssize_t got = ::recv(fd, bytes.data(), bytes.size(), 0);
    if (got <= 0)
      break;
    total += static_cast<size_t>(got);
  }
  return total;
}

class FarewellTest : public ::testing::Test {
 protected:
  std::unique_ptr<Mesh> mesh(Duration farewell) {
    std::vector<UniqueFd> sockets(2);
    std::tie(sockets[1], far_) = tcp_pair();
    filled_ = fill(sockets[1].get());
    return std::move(Mesh::make({0, group_spec(0, 2).members, 5s, farewell}, std::move(sockets)))
        .value();
  }
  static Duration time_of_end(std::unique_ptr<Mesh> mesh) {
    const TimePoint begin = steady_now();
    mesh.reset();
    return steady_now() - begin;
  }

  UniqueFd far_;
  size_t filled_ = 0;
};

TEST_F(FarewellTest, WaitsAsLongAsItWasToldForAPeerThatDoesNotRead) {
  const Duration took = time_of_end(mesh(1500ms));
  EXPECT_GE(took, 1500ms);
  EXPECT_LT(took, kLong);
}

TEST_F(FarewellTest, EndsWhenThePeerHasEverything) {
  std::unique_ptr<Mesh> ending = mesh(kLong);
  std::future<size_t> read = std::async(std::launch::async, read_all, far_.get());
  EXPECT_LT(time_of_end(std::move(ending)), kLong);
  // All that was sent before, and the last frame behind it.
  EXPECT_EQ(read.get(), filled_ + gloo_transport::kFrameBytes);
}

// A peer that sends wakes it, each time, and may do so for long before it reads anything.
TEST_F(FarewellTest, LetsThePeerSendWithoutEndAndUsesNoTimeForIt) {
  const auto used = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  };
  std::unique_ptr<Mesh> ending = mesh(kLong);
  std::future<size_t> read = std::async(std::launch::async, [fd = far_.get()] {
    for (int i = 0; i < 200; ++i) {
      EXPECT_EQ(::send(fd, "", 1, MSG_NOSIGNAL), 1);
      std::this_thread::sleep_for(1ms);  // so that each is one by itself
    }
    std::this_thread::sleep_for(500ms);  // the time that is measured
    return read_all(fd);
  });
  const Duration before = used();
  EXPECT_LT(time_of_end(std::move(ending)), kLong);
  EXPECT_LT(used() - before, 200ms);
  EXPECT_EQ(read.get(), filled_ + gloo_transport::kFrameBytes);
}

TEST_F(FarewellTest, AFailureNeedsNoMoreThanItsLastWords) {
  std::unique_ptr<Mesh> failed = mesh(kLong);
  failed->abort({Code::Aborted, "another rank is lost"});
  EXPECT_LT(time_of_end(std::move(failed)), kLong);
}

}  // namespace
}  // namespace farandole::testing

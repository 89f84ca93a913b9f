#pragma once
// SessionCluster: a whole job as threads of one process, each rank a real Session over real sockets
// and communicators.

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bindings/session_factory.h"
#include "core/base/format.h"

namespace farandole::testing {

// What a launcher provides: a reserved port and a secret file. Gone with the object.
class TestJob {
 public:
  TestJob() {
    socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(socket_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
    const int file = mkstemp(secret_path_);
    const std::string secret = fmt::format("{:>64}", getpid() * 7919L + port_);
    EXPECT_EQ(write(file, secret.data(), secret.size()), static_cast<ssize_t>(secret.size()));
    close(file);
  }
  ~TestJob() {
    close(socket_);
    unlink(secret_path_);
  }
  TestJob(const TestJob&) = delete;
  TestJob& operator=(const TestJob&) = delete;

  Config config(int rank, int size) const {
    Config config;
    config.rank = rank;
    config.size = size;
    config.controller = fmt::format("127.0.0.1:{}", port_);
    config.job = fmt::format("test-{}", port_);
    config.secret_file = secret_path_;
    return config;
  }

 private:
  int socket_ = -1;
  uint16_t port_ = 0;
  char secret_path_[40] = "/tmp/fdl_cluster_secret_XXXXXX";
};

// Runs `body` on one thread per rank, each with its session. `adjust` may change a rank's config.
inline void run_cluster(
    int size,
    const std::function<void(Config&)>& adjust,
    const std::function<void(Session&, int rank)>& body,
    const std::vector<std::shared_ptr<Observer>>& observers = {}) {
  const TestJob job;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      Config config = job.config(rank, size);
      if (adjust)
        adjust(config);
      Result<std::unique_ptr<Session>> session = make_session(config, observers);
      ASSERT_TRUE(session) << "rank " << rank << ": " << session.status().message();
      body(*session.value(), rank);
      EXPECT_TRUE(session.value()->shutdown());
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace farandole::testing

#pragma once
// TcpJob: a job of several ranks in one process, over real sockets on the loopback interface.

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "controller/tcp/tcp_control_plane.h"
#include "tests/controller/recording_sink.h"
#include "tests/net/net_support.h"

namespace farandole {

using namespace std::chrono_literals;
using net::kPatience;
using net::ReservedPort;
using net::secret_of;

inline TcpControlPlaneOptions options_of(int rank, int size, const ReservedPort& port) {
  TcpControlPlaneOptions options;
  options.config.rank = rank;
  options.config.size = size;
  options.config.job = "test-job";
  options.config.start_timeout = 30s;
  options.secret = secret_of(1);
  options.controller = port.endpoint();
  return options;
}

// One rank: its loop, which its sink is called on, and its control plane.
struct TcpRank {
  explicit TcpRank(TcpControlPlaneOptions options)
      : io(std::make_shared<net::IoThread>("test-io")),
        plane(std::make_unique<TcpControlPlane>(io, std::move(options))) {}
  ~TcpRank() {
    if (plane)
      plane->stop(steady_now() + kPatience);
  }

  Status start() { return plane->start(sink); }
  // As a session ends.
  void leave_and_stop() {
    plane->leave("shutdown");
    EXPECT_TRUE(sink.failure_of(rank).left);
    plane->finished();
    plane->stop(steady_now() + kPatience);
  }

  int rank = 0;
  RecordingSink sink;
  std::shared_ptr<net::IoThread> io;
  std::unique_ptr<TcpControlPlane> plane;
};

class TcpJob {
 public:
  using Change = std::function<void(int rank, TcpControlPlaneOptions&)>;

  explicit TcpJob(
      int size, const Change& change = [](int, TcpControlPlaneOptions&) {}) {
    for (int rank = 0; rank < size; ++rank) {
      TcpControlPlaneOptions options = options_of(rank, size, port);
      change(rank, options);
      ranks.push_back(std::make_unique<TcpRank>(std::move(options)));
      ranks.back()->rank = rank;
    }
  }
  // Lost ranks would be errors of a test that is over.
  ~TcpJob() {
    on_all([](TcpRank& rank) {
      if (rank.plane)
        rank.plane->stop(steady_now() + kPatience);
    });
  }

  // Starts all ranks at once; expects the group to form.
  void form() {
    on_all([](TcpRank& rank) {
      const Status status = rank.start();
      EXPECT_TRUE(status.is_ok()) << "rank " << rank.rank << ": " << status.to_string();
    });
  }
  void on_all(const std::function<void(TcpRank&)>& body) {
    std::vector<std::thread> threads;
    for (auto& rank : ranks) threads.emplace_back([&body, &rank] { body(*rank); });
    for (std::thread& thread : threads) thread.join();
  }
  TcpRank& operator[](int rank) { return *ranks[static_cast<size_t>(rank)]; }
  int size() const { return static_cast<int>(ranks.size()); }

  ReservedPort port;
  std::vector<std::unique_ptr<TcpRank>> ranks;
};

}  // namespace farandole

#pragma once
// Beats: the heartbeat thread of a virtual process, with the protocol's own Liveness: what
// core/net/heartbeat.cc does, without sockets of the kernel.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "controller/protocol/liveness.h"
#include "tests/sim/network.h"
#include "tests/sim/process.h"

namespace farandole::sim {

class Beats : public std::enable_shared_from_this<Beats> {
 public:
  struct Options {
    Duration interval{};
    Duration timeout{};
    std::function<void(int watch, Duration silence)> silent;
    std::function<void(int watch)> ended;
  };
  Beats(Process& process, Network& network, Options options);

  void start();
  // By number of the watch, as controller/tcp/watches.h gives it.
  void watch(int watch, net::Established connection);
  void forget(int watch);
  // The kernel tells of the end of a process of the same host, with whose hello its connection
  // began.
  void on_process_end(uint64_t incarnation);
  // Ends the thread and closes its sockets.
  void stop();

 private:
  struct Change {
    int rank = 0;
    std::shared_ptr<Socket> watch;  // null: forget
  };
  void apply_changes();
  void tick();
  void read(int rank);
  void drop(int rank);
  void look(int rank, const std::shared_ptr<Socket>& socket);

  Process& process_;
  Network& network_;
  Options options_;
  control::Liveness liveness_;
  std::map<int, std::shared_ptr<Socket>> peers_;  // null: connection lost, still watched
  std::map<int, uint64_t> incarnations_;          // by watch, of all there were
  std::vector<Change> changes_;
  bool stopped_ = false;
};

}  // namespace farandole::sim

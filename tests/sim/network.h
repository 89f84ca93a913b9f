#pragma once
// Network: all paths and the connections that processes make over them. Rank 0 listens.

#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "core/net/listener.h"
#include "tests/sim/process.h"
#include "tests/sim/wire.h"

namespace farandole::sim {

struct NetworkOptions {
  PathOptions path;
  size_t capacity = 0;  // of the kernel's buffers per connection and direction
};

class Network {
 public:
  Network(Scheduler& scheduler, uint64_t seed, size_t size, NetworkOptions options);

  Path& path(int from, int to) { return *paths_[index(from, to)]; }
  // Between a process and itself, too.
  size_t size() const noexcept { return size_; }

  // What a rank's attempt to connect came to.
  struct Outcome {
    bool connected = false;
    bool again = false;  // nobody listens, or "not yet"
    net::Established socket;
  };
  // A whole handshake of `hello.rank` with rank 0, as connect_to() of core/net would have it.
  void connect(Process& client, net::Hello hello, std::function<void(Outcome)> done);

  // The socket that an Established of this network stands for.
  std::shared_ptr<Socket> take(const net::Established& established);
  // All sockets of the rank, those that nobody has taken yet, too: its process has ended.
  void close_all(int rank);
  // An injected reset: both ends of every connection between the two find it broken.
  void reset_between(int a, int b);

  struct Port {
    Port(Process* at, net::ListenerOptions with) : process(at), options(std::move(with)) {}

    Process* process;
    net::ListenerOptions options;
    bool open = true;
  };
  void listen(std::shared_ptr<Port> port) { port_ = std::move(port); }

 private:
  struct Ends {
    int client = 0;
    std::shared_ptr<Socket> of_client;
    std::shared_ptr<Socket> of_server;
  };
  size_t index(int from, int to) const {
    return static_cast<size_t>(from) * size_ + static_cast<size_t>(to);
  }
  void answer(Process& client, const net::Hello& hello, const std::function<void(Outcome)>& done);
  Ends join(int client);
  net::Established establish(
      const net::Hello& hello, const std::shared_ptr<Socket>& socket, bool is_client);

  size_t size_;
  NetworkOptions options_;
  std::vector<std::unique_ptr<Path>> paths_;
  std::shared_ptr<Port> port_;
  std::vector<Ends> connections_;
  std::map<uint64_t, std::shared_ptr<Socket>> untaken_;
  uint64_t last_ = 0;
};

}  // namespace farandole::sim

#pragma once
// Network: all paths and the connections that processes make over them. Rank 0 listens.

#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "core/net/listener.h"
#include "tests/sim/key_watch.h"
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

  // What an attempt to connect came to.
  struct Outcome {
    bool connected = false;
    // Of rank 0, where it is final; NotYet: try again.
    net::Verdict verdict = net::Verdict::NotYet;
    net::Established socket;
  };
  struct Ends {
    int client = 0;
    const Process* process = nullptr;  // the client's
    std::shared_ptr<Socket> of_client;
    std::shared_ptr<Socket> of_server;
  };
  struct Port {
    Port(Process* at, net::ListenerOptions with) : process(at), options(std::move(with)) {}

    Process* process;
    net::ListenerOptions options;
    bool open = true;
    uint64_t answered = 0;  // hellos
  };
  // One attempt of a client: hello, challenge, proof and admission, as core/net has them.
  struct Attempt {
    Process* client = nullptr;
    net::Hello hello;
    std::function<void(Outcome)> done;
    std::shared_ptr<Port> port;
    uint64_t order = 0;
    Ends ends;            // from the proof on
    bool proved = false;  // the client has said its proof
    bool over = false;    // for the client
    bool taken = false;   // the server has believed it
    bool late = false;    // the server waits for the proof no longer
  };
  // `done` is called once, in the client's process, unless give_up() or its death comes first.
  std::shared_ptr<Attempt> connect(
      Process& client, net::Hello hello, std::function<void(Outcome)> done);
  // The client closes its socket; what it has said is on its way.
  static void give_up(Attempt& attempt);

  // The socket that an Established of this network stands for. Who drops the Established instead
  // has closed it.
  std::shared_ptr<Socket> take(const net::Established& established);
  // All sockets of a process of the rank, those that nobody has taken yet, too: it has ended.
  void close_all(int rank, const Process& process);
  // An injected reset: both ends of every connection between the two find it broken.
  void reset_between(int a, int b);
  // Only the end of `rank` does, of all or of the newest; the other one learns of it when it says
  // something.
  void reset_end(int rank, int other, bool newest);

  void listen(std::shared_ptr<Port> port) { port_ = std::move(port); }

 private:
  using Shared = std::shared_ptr<Attempt>;
  size_t index(int from, int to) const {
    return static_cast<size_t>(from) * size_ + static_cast<size_t>(to);
  }
  void answer(const Shared& attempt);
  void challenge(const Shared& attempt, net::Verdict verdict);
  void take_proof(const Shared& attempt);
  void take_admission(const Shared& attempt);
  static void end(const Shared& attempt, Outcome outcome);
  void dropped(const uint8_t* key);
  Ends join(int client, const Process& process);
  net::Established establish(const Attempt& attempt, bool is_client);

  size_t size_;
  NetworkOptions options_;
  std::vector<std::unique_ptr<Path>> paths_;
  std::shared_ptr<Port> port_;
  std::vector<Ends> connections_;
  struct Untaken {
    std::shared_ptr<Socket> socket;
    const uint8_t* key = nullptr;
  };
  std::map<uint64_t, Untaken> untaken_;
  std::map<const uint8_t*, uint64_t> by_key_;
  uint64_t last_ = 0;
  KeyWatch watch_;
};

}  // namespace farandole::sim

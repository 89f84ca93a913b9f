#pragma once
// Twin: a second process that says that it is a certain rank of the job, and holds the secret: it
// connects as that rank does, lives, and then says nothing, or what nobody says first.

#include <functional>
#include <memory>
#include <string>

#include "controller/protocol/link.h"
#include "core/net/framing.h"
#include "tests/sim/network.h"
#include "tests/sim/process.h"

namespace farandole::sim {

class Twin {
 public:
  enum class Manner : uint8_t { Half, Silent, Untimely };  // half: no heartbeat connection
  struct Parts {
    Scheduler* scheduler = nullptr;
    Network* network = nullptr;
    uint64_t seed = 0;
    int rank = 0;
    Manner manner = Manner::Silent;
    Duration length{};  // until it goes
    Duration beats{};   // between two
    std::string job;
    std::function<void(std::string)> trace;
  };
  explicit Twin(Parts parts);

  void start();
  // Requires: nothing runs any more.
  void dismantle();
  bool ended() const noexcept { return process_.dead(); }
  int rank() const noexcept { return parts_.rank; }
  // It had connected as ranks do, and rank 0 closed that without a word.
  bool was_left_in_the_dark() const noexcept { return in_the_dark_; }

 private:
  void connect(net::Role role);
  void connected(net::Role role, net::Established socket);
  void say_what_nobody_says_first(const net::Established& control);
  void hear();
  void beat();
  void end(const std::string& why);

  Parts parts_;
  Process process_;
  std::shared_ptr<Network::Attempt> attempt_;
  std::shared_ptr<Socket> control_;
  std::shared_ptr<Socket> beats_;
  bool heard_ = false;
  bool in_the_dark_ = false;
};

}  // namespace farandole::sim

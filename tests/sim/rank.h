#pragma once
// Rank: one virtual process of the job. Runs the real Driver, and in rank 0 the real
// CoordinatorHost; what TcpControlPlane does around them with threads is done here with events.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controller/tcp/driver.h"
#include "controller/tcp/last_words.h"
#include "controller/tcp/watches.h"
#include "core/net/io_thread.h"
#include "tests/sim/beats.h"
#include "tests/sim/caller.h"
#include "tests/sim/data_plane.h"
#include "tests/sim/monitor.h"
#include "tests/sim/network.h"
#include "tests/sim/plan.h"
#include "tests/sim/process.h"

namespace farandole::sim {

class Rank {
 public:
  static constexpr char kJob[] = "simulated";

  struct Parts {
    const Plan* plan = nullptr;
    int rank = 0;
    uint64_t life = 0;  // how many processes were this rank before
    Process* process = nullptr;
    Network* network = nullptr;
    DataPlane* data = nullptr;
    Monitors* monitors = nullptr;
    std::function<void(int rank, std::string)> trace;
    std::function<void(std::string)> violated;
    std::function<void(int rank)> exit;  // the process has nothing more to do
  };
  explicit Rank(Parts parts);
  ~Rank();
  Rank(const Rank&) = delete;
  Rank& operator=(const Rank&) = delete;

  void start();
  // Requires: the process is dead. Lets go of all objects of the product.
  void dismantle();
  // Its program ends, whatever is under way.
  void leave();
  // The kernel's word to watchers of one host.
  void on_process_end(const Rank& ended);
  void look_at_tables();
  std::string unsettled() const { return caller_.unsettled(); }
  bool formed() const noexcept { return formed_; }
  bool late() const noexcept { return caller_.late() || overdue_; }

 private:
  Config config() const;
  void open_coordinator();
  void connect(net::Role role, Duration pause, Duration patience);
  void connect_again(net::Role role, Duration pause, Duration patience);
  void connected(net::Role role, net::Established socket);
  void join();
  void on_formed(Result<control::Formed> formed);
  void give_up(const std::string& why);
  void tell_start_end(bool formed, bool told);
  void watch(int rank, net::Established heartbeats);
  void forget(int rank);
  void on_silent(int watch, Duration silence);
  void on_ended(int watch);
  void on_dead(int watch, const std::string& cause);
  void stop();
  void exit();
  void note_overdue();
  void say(std::string text) { parts_.trace(parts_.rank, std::move(text)); }

  Parts parts_;
  net::IoThread io_;
  Caller caller_;
  std::shared_ptr<Beats> beats_;
  std::shared_ptr<control::Driver> driver_;
  control::Watches watches_;
  control::LastWords last_words_{io_};  // by watch
  std::optional<net::Established> control_;
  TimePoint start_;
  TimePoint deadline_;
  uint64_t incarnation_ = 0;
  std::shared_ptr<Network::Attempt> attempt_;  // to connect, under way
  std::optional<TimePoint> joined_;            // true time
  TimePoint started_;                          // likewise
  bool decided_ = false;                       // the group has formed, or not
  bool formed_ = false;
  bool stopped_ = false;
  bool overdue_ = false;
};

}  // namespace farandole::sim

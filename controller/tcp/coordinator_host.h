#pragma once
// CoordinatorHost: runs Membership and then Coordinator in rank 0: takes the connections of the
// other ranks, carries messages between them and the state machines, keeps their deadlines.

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/protocol/coordinator.h"
#include "controller/protocol/membership.h"
#include "core/base/clock.h"
#include "core/base/config.h"
#include "core/base/secret.h"
#include "core/net/connection.h"
#include "core/net/listener.h"

namespace farandole::control {

struct CoordinatorHostOptions {
  Config config;
  Secret secret;
  net::Endpoint at;
  uint32_t generation = 0;
  uint64_t incarnation = 0;
  TimePoint start;
  TimePoint deadline;             // of formation
  std::function<bool()> give_up;  // as in LookupLimits
  // As in CoordinatorOptions.
  std::map<uint32_t, std::vector<int>> process_sets;
  std::shared_ptr<const Clock> clock = std::make_shared<SteadyClock>();
};

// How the host reaches what else is in rank 0. Called on the loop; must not call back.
struct CoordinatorHostEvents {
  std::function<void(Bytes)> to_own_worker;
  std::function<void()> something_to_do;  // call turn() when no more input is at hand
  std::function<void(int rank, net::Established)> watch;  // its heartbeats
  std::function<void(int rank)> forget;
  std::function<void(const StallReport&)> stalls;  // for the log
  Readiness::Hear hear = {};                       // as in CoordinatorOptions
};

// Thread: the loop's, but open(), which comes first.
class CoordinatorHost {
 public:
  CoordinatorHost(net::IoThread& io, CoordinatorHostOptions options, CoordinatorHostEvents events);
  // Closes everything at once, unless finish() did it better.
  ~CoordinatorHost();

  // Begins to listen. Gives the address that it listens at. Not on the loop. Fails: System naming
  // the address.
  Result<net::Endpoint> open();

  void on_own_message(const Bytes& bytes);
  void on_backlog(size_t rounds);
  // The heartbeats of `rank` say that it cannot go on.
  void on_dead(int rank, const std::string& cause);
  // Tells what has become ready, and sends all that is queued: one write per connection.
  void turn();
  // Once the coordinator has concluded, or at the deadline: sends what is queued and closes; then
  // `done`, and no event afterwards. Until then it goes on for the other ranks. Where the group was
  // refused, those that are connected or half so get patience::kRefusal to hear it.
  void finish(TimePoint deadline, std::function<void()> done);

  // For looking at; null until the group has formed.
  const Coordinator* coordinator() const noexcept {
    return coordinator_ ? &*coordinator_ : nullptr;
  }

 private:
  // A connection of another rank. It counts once both its sockets are there.
  struct Peer {
    std::optional<net::Established> control;
    std::optional<net::Established> heartbeat;
    std::unique_ptr<net::Connection> connection;  // made of `control`
    uint64_t incarnation = 0;                     // whose connection that is
    uint64_t newest = 0;  // Established::order of the last socket that was taken

    bool half_connected() const noexcept { return control || heartbeat; }
  };
  // A connection that sends its last, while the next process of its rank may have one already.
  struct Closing {
    int rank = 0;
    std::unique_ptr<net::Connection> connection;
  };
  struct Ending {
    TimePoint deadline;
    TimePoint until;  // it goes on for others
    std::function<void()> done;
  };

  net::ServerParams server_params() const;
  net::Verdict admit(const net::Hello& hello) const;
  void on_accepted(net::Established socket);
  void on_starved(const Status& why);
  void attach(int rank, Peer& peer);
  bool renews_heartbeat(const Peer& peer, const net::Hello& hello) const noexcept;
  void on_message(int rank, std::span<const uint8_t> bytes);
  void on_closed(int rank, const std::string& cause);
  void lose(int rank, const std::string& cause);
  void apply(Actions actions);
  void form();
  void close_after_flush(int rank, TimePoint deadline, std::function<void()> done);
  bool closes(int rank) const noexcept;
  bool still_needed() const;
  void end_if_concluded();
  std::optional<TimePoint> next_deadline() const;
  void set_timer();
  void on_timer();
  TimePoint now() const noexcept { return options_.clock->now(); }
  Peer& peer(int rank) { return peers_.at(static_cast<size_t>(rank)); }

  net::IoThread& io_;
  CoordinatorHostOptions options_;
  CoordinatorHostEvents events_;
  std::unique_ptr<net::Listener> listener_;
  std::optional<Membership> membership_;
  std::optional<Coordinator> coordinator_;
  std::vector<Peer> peers_;  // by rank; 0 stays empty
  std::list<Closing> closing_;
  std::optional<Ending> ending_;
  net::LoopTimer timer_;
  std::optional<TimePoint> timer_set_;
};

}  // namespace farandole::control

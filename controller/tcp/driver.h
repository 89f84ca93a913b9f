#pragma once
// Driver: runs this rank's Worker (and in rank 0 the CoordinatorHost beside it) on the loop, and
// carries out what they ask for.
//
// Everything that goes out in one turn of the loop goes in one write per connection: inputs are
// taken as they come, turn() runs once no more input is at hand.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/protocol/worker.h"
#include "controller/tcp/coordinator_host.h"
#include "controller/tcp/store_client.h"
#include "core/control_plane.h"
#include "core/net/connection.h"

namespace farandole::control {

struct DriverOptions {
  Config config;
  uint64_t incarnation = 0;
  ControlSink* sink = nullptr;
  std::function<void(Result<Formed>)> formed;  // once, on the loop
  std::function<void(StoreReply)> reply;       // on the loop
  // This rank is asked where its threads are; answer() later. On the loop.
  std::function<void(uint64_t number)> asked;
};

// Thread: the loop's, but where it says otherwise. Held by shared_ptr: tasks on the loop may
// outlive the control plane.
class Driver : public std::enable_shared_from_this<Driver> {
 public:
  Driver(net::IoThread& io, DriverOptions options);

  // Rank 0: the coordinator lives here. Others: it lives behind `control`. One of the two, once,
  // before join().
  void host(std::unique_ptr<CoordinatorHost> host) { host_ = std::move(host); }
  CoordinatorHost* hosted() noexcept { return host_.get(); }
  void connect(net::Established control);
  void join(Member self);

  // Thread: any, for the seven below. Never block.
  void announce(std::vector<Announcement> announcements);
  void report(PeerFailure failure);
  void leave(std::string cause = "shutdown");
  void finished();
  void backlog(size_t rounds);
  void store(StoreRequest request);
  void answer(uint64_t number, std::string text);

  // Messages of the own coordinator.
  void on_own_message(Bytes bytes);
  void schedule_turn();
  // The heartbeats of `rank` say that it cannot go on.
  void on_dead(int rank, const std::string& cause);

  // Lets go of the sink, sends what is queued and closes, in rank 0 when the coordinator has
  // concluded; then `done`.
  void finish(TimePoint deadline, std::function<void()> done);
  const Worker& worker() const noexcept { return worker_; }
  // Destroys the connections, whatever is left of them.
  void release();
  bool released() const noexcept { return released_; }

 private:
  template <typename Task>
  void on_loop(Task task);
  void take(Actions actions);
  void turn();
  void push();
  void exchange_own_messages();
  void deliver();
  void deliver(Action& action);
  void lose_coordinator(const std::string& cause);
  void give_up_coordinator(const std::string& cause);

  net::IoThread& io_;
  DriverOptions options_;
  Worker worker_;
  std::unique_ptr<CoordinatorHost> host_;    // in rank 0
  std::unique_ptr<net::Connection> uplink_;  // in the others
  std::deque<Bytes> to_worker_;              // in rank 0: from its coordinator
  std::deque<Bytes> to_coordinator_;         // and the other way
  std::deque<Action> upcalls_;               // for sink, starter and store
  bool turn_scheduled_ = false;
  bool delivering_ = false;
  bool finishing_ = false;  // nothing for this rank any more
  bool released_ = false;
};

}  // namespace farandole::control

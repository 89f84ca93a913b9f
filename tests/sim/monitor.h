#pragma once
// Monitor: one invariant. It is told what every rank sees, in the order in which it happens, and
// says what must not be. It knows nothing of simulator or network: an exhaustive search can feed
// the same monitors.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/protocol/actions.h"
#include "controller/protocol/key.h"
#include "controller/tcp/store_client.h"
#include "core/agreement.h"
#include "core/control_plane.h"
#include "core/request.h"
#include "tests/sim/plan.h"

namespace farandole::sim {

// The first violation.
class Findings {
 public:
  void add(std::string text) {
    if (!first_)
      first_ = std::move(text);
  }
  bool empty() const noexcept { return !first_; }
  const std::optional<std::string>& first() const noexcept { return first_; }

 private:
  std::optional<std::string> first_;
};

class Monitor {
 public:
  explicit Monitor(Findings& findings) : findings_(findings) {}
  virtual ~Monitor() = default;
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  // A process of this rank, which may have had others before.
  virtual void on_start(int /*rank*/) {}
  virtual void on_formed(int /*rank*/, uint32_t /*epoch*/, const std::vector<Member>&, TimePoint) {}
  virtual void on_not_formed(int /*rank*/, const Status&) {}
  // After these two, or where it has found out by itself that it cannot start.
  struct StartEnd {
    bool formed = false;
    bool told = false;                // by rank 0, if only in that the connection closed
    std::optional<TimePoint> joined;  // when it had both connections, and said so
    TimePoint started;
    TimePoint now;
  };
  virtual void on_start_end(int /*rank*/, const StartEnd&) {}
  virtual void on_submitted(int /*rank*/, const control::Key&, const Signature&, TimePoint) {}
  // Before the rank does anything about it.
  virtual void on_agreement(int /*rank*/, const Agreement&) {}
  virtual void on_failure(int /*rank*/, const PeerFailure&, TimePoint) {}
  // The index-th operation that this rank begins in the process set.
  virtual void on_execution(int /*rank*/, const control::Key&, uint64_t /*index*/) {}
  // It has carried it out.
  virtual void on_executed(int /*rank*/, const control::Key&, uint64_t /*index*/) {}
  // What it had not carried out has failed, by a verdict that it has heard before.
  virtual void on_halted(int /*rank*/) {}
  // Its data plane finds somebody at fault, which it tells the coordinator.
  virtual void on_accusation(int /*rank*/, const PeerFailure&) {}
  virtual void on_goodbye(int /*rank*/) {}   // it calls leave()
  virtual void on_finished(int /*rank*/) {}  // it has said its last word: nobody watches it
  // Told in the log of rank 0.
  virtual void on_stalls(const control::StallReport&) {}
  // Its control plane is about to close, after all that it waited for.
  virtual void on_end(int /*rank*/) {}
  // It goes at the deadline of its shutdown, though not all is done: it said so in its log.
  virtual void on_overdue(int /*rank*/) {}
  // From now on this rank may be blamed; or, of two, either may by the other.
  virtual void on_fault(const Fault&) {}
  virtual void on_death(int /*rank*/, TimePoint) {}                             // by a fault
  virtual void on_store_request(int /*rank*/, const control::StoreRequest&) {}  // set or get
  virtual void on_store_given_up(int /*rank*/, uint64_t /*number*/) {}
  virtual void on_store_reply(int /*rank*/, const control::StoreReply&) {}
  // What the tables and queues of `rank` hold now.
  struct Tables {
    size_t cached = 0;
    size_t queued_bytes = 0;  // on the connection where most wait
    // Of the coordinator.
    size_t pending = 0;
    size_t stored_bytes = 0;
    size_t store_waits = 0;
  };
  virtual void on_tables(int /*rank*/, const Tables&) {}
  // After each event.
  virtual void on_time(TimePoint) {}

 protected:
  void violated(std::string text) { findings_.add(std::move(text)); }

 private:
  Findings& findings_;
};

using Monitors = std::vector<std::unique_ptr<Monitor>>;
using MonitorFactory = std::function<Monitors(const Plan&, Findings&)>;
// All there are.
Monitors make_monitors(const Plan& plan, Findings& findings);

}  // namespace farandole::sim

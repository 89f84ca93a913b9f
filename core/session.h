#pragma once
// Session: one rank's membership in one job. What bindings call. A process may hold several.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/config.h"
#include "core/base/log.h"
#include "core/base/patience.h"
#include "core/base/status.h"
#include "core/communicator.h"
#include "core/control_plane.h"
#include "core/counters.h"
#include "core/device.h"
#include "core/event_loop.h"
#include "core/observer.h"
#include "core/request.h"
#include "core/ticket.h"
#include "core/timeline.h"
#include "core/topology.h"

namespace farandole {

// What the composition root puts together. Destroyed in reverse order of declaration.
struct SessionParts {
  std::shared_ptr<const LogMember> log;  // null: lines have no label
  Config config;
  Secret secret;
  std::vector<std::shared_ptr<Observer>> observers;
  std::shared_ptr<EventLoop> loop;  // the engine's
  std::vector<std::shared_ptr<Device>> devices;
  std::unique_ptr<ControlPlane> control;
  // Forms the communicator of a group; called on that group's lane.
  std::function<Result<std::unique_ptr<Communicator>>(const GroupSpec&, Store&)> connect;
  // How long an aborted collective is waited for; tests shorten it.
  Duration abort_limit = patience::kAbort;
};

// Thread: all functions from any thread, but shutdown() and the destructor, which come last.
class Session {
 public:
  // Forms the group and starts the engine. Fails: as ControlPlane::start; System where
  // there is no thread.
  // A forked child must not use its parent's session: submit() fails there with a clear error, the
  // destructor does nothing, and the parent is unharmed.
  static Result<std::unique_ptr<Session>> start(SessionParts parts);
  // shutdown() if that was not called. Where a collective did not end within abort_limit, or a
  // callback blocks the loop, all that the thread may still touch stays until the process ends.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Topology& topology() const noexcept;
  const Config& config() const noexcept;
  // All ranks of the job in rank order.
  const std::vector<Member>& members() const noexcept;

  // Takes the requests, all or none; returns one ticket each. Never blocks. Fails: InvalidArgument
  // (name in flight, too long, unsupported dtype, wrong shape, splits or root …), Unsupported,
  // Aborted after shutdown, PeerLost after the job failed or a rank of the process set left. A join
  // and changes of process sets are requests, too: their outcome is Outcome::value. Unnamed
  // requests get names that advance alike on every rank, even when a call fails.
  Result<std::vector<TicketPtr>> submit(std::vector<Request> requests);
  // Waits like Ticket::wait_until, and lends this thread to the lane meanwhile. Returns false at
  // once where shutdown() had to give the lane up.
  bool wait_until(Ticket& ticket, TimePoint deadline);
  // Ids of the process sets that there are, ascending, and the ranks of one. Fails: InvalidArgument
  // where there is none.
  std::vector<uint32_t> process_sets() const;
  Result<std::vector<int>> ranks_of(uint32_t process_set) const;
  // Takes the name that the next unnamed request of this kind in the process set would get. For
  // callers with checks of their own before submit(): a rank where one fails must count the call as
  // the others do.
  // `way`: of a message, whose name has yet to get it.
  std::string next_name(CollectiveKind kind, uint32_t process_set = 0, Way way = {});

  // Why the job cannot go on, Ok while it can: of all ranks together. Process sets without a rank
  // that has left go on.
  Status health() const;
  // What this rank has done so far; also after a failure and after shutdown().
  Counters::Values counters() const noexcept;

  // The same for those who outlive the session.
  std::shared_ptr<const Counters> shared_counters() const noexcept;

  // Of this rank; the shutdown ends it. start_timeline() of core/session_timeline.h starts it.
  Timeline& timeline() noexcept;

  // Ordered: says goodbye, for which the others hear `cause`, finishes what all ranks had agreed
  // upon, ends what else is in flight with Aborted, joins every thread. Rank 0 waits until the
  // others have finished, too, so that none is lost unseen. Idempotent. Waits at most
  // config().shutdown_timeout, plus what a lane needs to see the abort.
  Status shutdown(const std::string& cause = "shutdown");
  // What is said of a session from then on.
  static Status after_shutdown();

 private:
  class Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace farandole

#pragma once
// Mesh: the connections of one member of a group to all others, and the one place that waits on
// them. It has no thread: whoever waits for an operation drives the I/O of all of them.

#include <poll.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "collectives/gloo/transport/link.h"
#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/control_plane.h"

namespace farandole::gloo_transport {

struct MeshOptions {
  int index = 0;  // own place in members
  std::vector<Member> members;
  // An operation fails when no byte has moved on any connection for so long.
  Duration data_timeout{};
  // How long an orderly end may wait for the peers' kernels to have all that was sent.
  Duration farewell{};
};

// Thread: one at a time, but for abort(), wake() and status(), which any may call at any time.
class Mesh final : private AnySource {
 public:
  // sockets[i] leads to member i; the own one is empty. Fails: System.
  static Result<std::unique_ptr<Mesh>> make(MeshOptions options, std::vector<UniqueFd> sockets);
  // Says goodbye and sees to it, for at most options().farewell, that what was sent arrives.
  ~Mesh();

  int index() const noexcept { return options_.index; }
  int size() const noexcept { return static_cast<int>(options_.members.size()); }
  const MeshOptions& options() const noexcept { return options_; }

  // Start operations; what can be sent at once is. All throw MeshFailed (mesh_failed.h).
  void send(int peer, const Send& send);
  void receive(int peer, const Receive& receive);
  void receive_any(std::vector<int> peers, const Receive& receive);
  void write(int peer, const Send& send, uint64_t offset);
  void expose(int peer, const Receive& buffer);
  // Must be called for a sink that dies with operations under way: that breaks the streams, so the
  // mesh fails, if it has not.
  void forget(const Sink* sink) noexcept;

  // Moves bytes until `done`. Throws MeshFailed; a limit of 0 means the data timeout.
  void wait(const std::function<bool()>& done, Duration idle_limit = {});
  // Moves bytes until everything handed over is with the kernel.
  void flush();

  // What the messages of failures begin with: allreduce "x". `name` must stay valid meanwhile.
  void set_activity(std::string_view kind, std::string_view name) noexcept;
  void clear_activity() noexcept { set_activity({}, {}); }

  // The first reason wins. Whoever waits returns.
  void abort(Status why) noexcept;
  // Makes wait() look at its condition again.
  void wake() noexcept;
  Status status() const;
  bool failed() const noexcept { return failed_.load(std::memory_order_acquire); }

 private:
  struct AnyReceive {
    std::vector<int> peers;
    Receive receive;
  };

  Mesh(MeshOptions options, std::vector<UniqueFd> sockets, UniqueFd wake);
  bool take(int peer, uint64_t slot, bool offered, Receive& receive) override;
  bool wants(int peer, uint64_t slot) const override;
  bool take_kept(const std::vector<int>& peers, const Receive& receive);

  Link& link(int peer);
  void check(int peer, Status status);
  void throw_if_failed() const;
  void flush_links();
  // Waits for at most `limit` and moves what can be moved; returns the bytes moved.
  size_t turn(Duration limit);
  void serve(size_t place, short events, size_t& moved);
  void check_any();
  Status stuck(Duration idle) const;
  std::string activity() const;
  std::string name_of(int peer) const;

  void say_goodbye() noexcept;
  void linger(TimePoint deadline) noexcept;

  const MeshOptions options_;
  std::vector<std::unique_ptr<Link>> links_;  // by member; the own one is null
  std::string_view kind_, name_;
  std::vector<AnyReceive> any_;
  std::vector<pollfd> polled_;  // of turn(): the wake-up, then the links
  UniqueFd wake_;
  std::atomic<bool> failed_{false};
  mutable Mutex mutex_;
  Status status_ FARANDOLE_GUARDED_BY(mutex_);
};

}  // namespace farandole::gloo_transport

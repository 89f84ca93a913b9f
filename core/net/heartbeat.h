#pragma once
// Heartbeat: tells from a thread and sockets of its own that this rank lives, and finds out who no
// longer does. Nothing that happens on the loop (a burst of frames, a slow handler) can silence it.
//
// On every connection, each side sends first its card (which process it is), then a beat per
// interval, as sealed frames. A peer is lost when the judge says so (silence), and ended when the
// kernel says so: processes of one host watch each other's pid, which finds a death at once even
// where a forked child still holds the dead rank's sockets.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/fork_guard.h"
#include "core/base/status.h"
#include "core/net/connector.h"

namespace farandole::net {

// Decides who has been silent for too long. Called on the heartbeat thread only.
class HeartbeatJudge {
 public:
  struct Silence {
    int rank = 0;
    Duration length{};
  };
  virtual ~HeartbeatJudge() = default;
  virtual void watch(int rank, TimePoint now) = 0;
  virtual void forget(int rank) = 0;
  virtual void on_beat(int rank, TimePoint now) = 0;
  // Called at every interval, and later only when this process itself was not running.
  virtual std::vector<Silence> tick(TimePoint now) = 0;
};

struct HeartbeatOptions {
  Duration interval = std::chrono::milliseconds(250);
  std::unique_ptr<HeartbeatJudge> judge;
  // Both on the heartbeat thread: be quick, never block. The rank is watched no longer.
  std::function<void(int rank, Duration silence)> silent;
  std::function<void(int rank)> ended;
};

// Thread: any.
class Heartbeat {
 public:
  // Fails: System.
  static Result<std::unique_ptr<Heartbeat>> start(HeartbeatOptions options);
  // stop(), within patience::kLoop. In a forked child: nothing.
  ~Heartbeat();

  // One connection per rank; a second one replaces the first. The card has been sent on return.
  void watch(int rank, Established connection);
  void forget(int rank);
  // Joins; nobody is called afterwards, and nobody watched. False at the deadline: a callback
  // blocks the thread, and what it may use must stay. Thread: one at a time.
  bool stop(TimePoint deadline);

  struct Impl;

 private:
  explicit Heartbeat(std::unique_ptr<Impl> impl);
  ForkGuard fork_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace farandole::net

#pragma once
// TcpControlPlane: the control plane of a job whose ranks are processes: rank 0 hosts the
// coordinator, every other rank has one control and one heartbeat connection to it.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/config.h"
#include "core/base/fork_guard.h"
#include "core/base/patience.h"
#include "core/base/secret.h"
#include "core/control_plane.h"
#include "core/net/endpoint.h"
#include "core/net/io_thread.h"

namespace farandole {

struct TcpControlPlaneOptions {
  Config config;  // rank, size, job and limits
  Secret secret;
  net::Endpoint controller;  // of rank 0
  // Which of the groups that the job forms one after another this is; equal on all its ranks. A
  // rank that is ahead waits for rank 0. Nobody has to count: a listener closes when its group has
  // formed, so that a later attempt finds none until rank 0 starts again.
  uint32_t generation = 0;
  // Says where the threads of this process are, as lines of text, while other ranks wait for it.
  // Called on a thread of its own, until stop(). May be empty.
  std::function<std::string()> stacks;
  // As net::ConnectSpec::give_up, for all of start().
  std::function<bool()> give_up;
  // For a turn of the loop, and for the heartbeat thread to end; tests shorten it.
  Duration loop_limit = patience::kLoop;
};

// Runs on `io`, which may be the engine's loop, too: the sink is called there.
class TcpControlPlane final : public ControlPlane {
 public:
  // Requires: size of 2 or more.
  TcpControlPlane(std::shared_ptr<net::IoThread> io, TcpControlPlaneOptions options);
  // stop() at once, if it was not called. Where that gives false, all that its threads may use
  // stays until the process ends. In a forked child: nothing.
  ~TcpControlPlane() override;

  // A start that failed has closed everything.
  Status start(ControlSink& sink) override;
  const std::vector<Member>& members() const override;
  uint32_t epoch() const override;
  void announce(std::vector<Announcement> announcements) override;
  void report(PeerFailure failure) override;
  void backlog(size_t rounds) override;
  Store& store() override;
  void leave(const std::string& cause) override;
  void finished() override;
  bool stop(TimePoint deadline) override;

  struct Impl;

 private:
  ForkGuard fork_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace farandole

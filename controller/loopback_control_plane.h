#pragma once
// LoopbackControlPlane: a whole job inside one process, without sockets. The real Worker and
// Coordinator talk to each other by the same bytes as over a network; only the wire is missing.

#include <map>
#include <memory>
#include <vector>

#include "core/base/config.h"
#include "core/control_plane.h"
#include "core/event_loop.h"

namespace farandole {

// What the ranks of one job share. Thread: any.
class LoopbackHub {
 public:
  // Members of each process set in rank order; 0, all ranks, need not be given.
  using ProcessSets = std::map<uint32_t, std::vector<int>>;

  explicit LoopbackHub(int size, ProcessSets process_sets = {});
  ~LoopbackHub();
  LoopbackHub(const LoopbackHub&) = delete;
  LoopbackHub& operator=(const LoopbackHub&) = delete;

  // As if the connection of `rank` broke (of rank 0: those of all others): both sides take the
  // other for lost.
  void kill(int rank);

 private:
  friend class LoopbackControlPlane;
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Sinks are called on `loop`, never from within announce() or the like. Each rank has a loop of its
// own, or several share one.
class LoopbackControlPlane final : public ControlPlane {
 public:
  // The coordinator goes by the config of rank 0. `self` is this rank as the others shall see it.
  LoopbackControlPlane(
      std::shared_ptr<LoopbackHub> hub,
      const Config& config,
      Member self,
      std::shared_ptr<EventLoop> loop);
  ~LoopbackControlPlane() override;

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

 private:
  class LoopbackStore;
  std::shared_ptr<LoopbackHub> hub_;
  Config config_;
  Member self_;
  std::shared_ptr<EventLoop> loop_;
  std::unique_ptr<LoopbackStore> store_;
  bool answered_ = true;
};

}  // namespace farandole

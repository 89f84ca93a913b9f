#pragma once
// The inside of LoopbackHub: all state machines of a job under one lock, and the queue of encoded
// messages between them, which is always empty when the lock is free.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "controller/loopback_control_plane.h"
#include "controller/protocol/coordinator.h"
#include "controller/protocol/membership.h"
#include "controller/protocol/worker.h"
#include "core/base/mutex.h"

namespace farandole {

// Hands on to a rank's sink, on its loop, until it is closed. Thread: any.
class LoopbackOutlet {
 public:
  LoopbackOutlet(ControlSink& sink, std::shared_ptr<EventLoop> loop)
      : loop_(std::move(loop)), target_(std::make_shared<Target>(sink)) {}

  void agreement(Agreement agreement);
  void failure(PeerFailure failure);
  // Waits for a callback that is running; afterwards there is none. False at the deadline.
  bool close(TimePoint deadline);

 private:
  // What a posted task keeps alive: not the loop that it runs on, which must not end there.
  struct Target {
    explicit Target(ControlSink& to) : sink(&to) {}
    Mutex mutex;
    CondVar returned;
    ControlSink* sink FARANDOLE_GUARDED_BY(mutex);
    bool calling FARANDOLE_GUARDED_BY(mutex) = false;
  };
  template <typename Call>
  void post(Call call);

  const std::shared_ptr<EventLoop> loop_;
  const std::shared_ptr<Target> target_;
};

class LoopbackHub::Impl {
 public:
  Impl(int size, ProcessSets process_sets);
  ~Impl();

  Status start(const Config& config, const Member& self, std::unique_ptr<LoopbackOutlet> outlet);
  void announce(int rank, std::vector<Announcement> announcements);
  void report(int rank, PeerFailure failure);
  void backlog(int rank, size_t rounds);
  void leave(int rank, const std::string& cause);
  void finished(int rank);
  void kill(int rank);
  // Closes the rank's connection, that of rank 0 when the coordinator has concluded. Gives what is
  // to be closed without the lock, or null.
  std::unique_ptr<LoopbackOutlet> stop(int rank, TimePoint deadline);
  Status store_set(int rank, const std::string& key, std::vector<uint8_t> value);
  Result<std::vector<uint8_t>> store_get(int rank, const std::string& key, TimePoint deadline);
  const control::Worker& worker(int rank);

 private:
  // One rank's end.
  struct Port {
    std::unique_ptr<control::Worker> worker;
    std::unique_ptr<LoopbackOutlet> outlet;
    bool open = false;  // its connection
    bool stopped = false;
    std::optional<Status> started;
    uint64_t requests = 0;
    std::map<uint64_t, control::StoreReply> replies;
  };
  struct Message {
    bool up = false;  // to the coordinator
    int rank = 0;
    control::Bytes bytes;
  };

  Port& port(int rank) FARANDOLE_REQUIRES(mutex_) { return ports_.at(static_cast<size_t>(rank)); }
  void open_coordinator(const Config& config) FARANDOLE_REQUIRES(mutex_);
  void by_worker(int rank, control::Actions actions) FARANDOLE_REQUIRES(mutex_);
  void by_coordinator(control::Actions actions) FARANDOLE_REQUIRES(mutex_);
  void deliver(Message message) FARANDOLE_REQUIRES(mutex_);
  void pump() FARANDOLE_REQUIRES(mutex_);
  void cut(int rank, const std::string& cause) FARANDOLE_REQUIRES(mutex_);
  void cut_coordinator(const std::string& cause) FARANDOLE_REQUIRES(mutex_);
  Status give_up(int rank, const Config& config) FARANDOLE_REQUIRES(mutex_);
  bool usable(int rank) FARANDOLE_REQUIRES(mutex_);
  Status refusal(int rank) FARANDOLE_REQUIRES(mutex_);
  void confirm_accusations();

  const ProcessSets process_sets_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<Port> ports_ FARANDOLE_GUARDED_BY(mutex_);
  std::deque<Message> queue_ FARANDOLE_GUARDED_BY(mutex_);
  std::optional<control::Limits> limits_ FARANDOLE_GUARDED_BY(mutex_);
  std::unique_ptr<control::Membership> membership_ FARANDOLE_GUARDED_BY(mutex_);
  std::unique_ptr<control::Coordinator> coordinator_ FARANDOLE_GUARDED_BY(mutex_);
  bool closing_ FARANDOLE_GUARDED_BY(mutex_) = false;
  std::thread confirmer_;
};

}  // namespace farandole

#pragma once
// Cluster: one Membership, one Coordinator and N Workers joined by queues that a test empties in
// whatever order it wants. No thread, no clock.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/protocol/coordinator.h"
#include "controller/protocol/membership.h"
#include "controller/protocol/worker.h"

namespace farandole::control {

constexpr TimePoint kStart{std::chrono::seconds(1000)};
constexpr uint64_t kJob = 0x10B;

Limits small_limits(size_t size);
Signature allreduce(std::vector<int64_t> shape);
Announcement tensor(std::string name, Signature signature);

class Cluster {
 public:
  struct Options {
    Limits limits;
    std::map<uint32_t, std::vector<int>> process_sets;
    std::vector<Setting> settings = {};  // that all ranks must share
    StallPolicy stalls = {};
  };
  // What one rank has been given.
  struct Seen {
    std::vector<Agreement> agreements;
    std::vector<PeerFailure> failures;
    std::vector<StoreReply> replies;
    std::vector<uint64_t> questions;
    std::optional<Status> not_formed;
    bool formed = false;
  };

  explicit Cluster(Options options);
  explicit Cluster(size_t size) : Cluster(Options{small_limits(size), {}}) {}

  size_t size() const { return workers_.size(); }
  Worker& worker(int rank) { return *workers_[static_cast<size_t>(rank)]; }
  Membership& membership() { return *membership_; }
  Coordinator& coordinator() { return *coordinator_; }
  Seen& seen(int rank) { return seen_[static_cast<size_t>(rank)]; }
  // Joins all and empties the queues.
  void form();

  // Carries out what a worker, or the coordinator, wants.
  void act(int rank, Actions actions);
  void act(Actions actions);
  void announce(int rank, std::vector<Announcement> items) {
    act(rank, worker(rank).announce(std::move(items)));
  }

  bool up_waiting(int rank) const { return !up_[static_cast<size_t>(rank)].empty(); }
  bool down_waiting(int rank) const { return !down_[static_cast<size_t>(rank)].empty(); }
  // Delivers one message from (to) a rank. Requires: one waits.
  void step_up(int rank);
  void step_down(int rank);
  void flush() { act(coordinator_->flush()); }
  // Delivers and flushes until nothing moves.
  void settle();

  std::deque<Bytes>& up(int rank) { return up_[static_cast<size_t>(rank)]; }
  std::deque<Bytes>& down(int rank) { return down_[static_cast<size_t>(rank)]; }
  size_t bytes_up() const { return bytes_up_; }
  size_t bytes_down() const { return bytes_down_; }
  std::vector<CloseRank> closed;
  std::vector<StallReport> reports;
  TimePoint now = kStart;  // when messages reach the coordinator

 private:
  std::unique_ptr<Membership> membership_;
  std::unique_ptr<Coordinator> coordinator_;
  Options options_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Seen> seen_;
  std::vector<std::deque<Bytes>> up_, down_;
  size_t bytes_up_ = 0, bytes_down_ = 0;
};

}  // namespace farandole::control

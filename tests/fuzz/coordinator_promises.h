#pragma once
// What a coordinator promises its honest ranks, checked against a cluster of which one rank is not
// honest (coordinator.cc).

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/protocol/coordinator.h"
#include "core/way.h"
#include "tests/fuzz/generate.h"
#include "tests/fuzz/stall_reports.h"
#include "tests/fuzz/target.h"
#include "tests/protocol/cluster.h"
#include "tests/support/way_of_name.h"

namespace farandole::fuzz {

using namespace control;

inline const std::vector<Setting> kSettings = {{"fusion_bytes", "64"}};
inline const std::map<uint32_t, std::vector<int>> kProcessSets = {{1, {0, 1}}, {2, {1, 2}}};

// What an honest rank knows, has asked for, and how much of the answers has been looked at.
struct Honest {
  std::map<uint32_t, std::vector<int>> sets = kProcessSets;
  uint32_t last_set = kProcessSets.rbegin()->first;
  std::set<uint32_t> joined;  // sets where it waits for the others
  InFlight in_flight;
  std::set<uint64_t> requests;
  size_t agreements = 0;
  size_t failures = 0;
  size_t replies = 0;
  bool left = false;   // it, or the coordinator's rank: agreements are its own affair now
  bool ended = false;  // by the verdict

  bool knows(uint32_t process_set, int rank) const {
    if (process_set == 0)
      return true;
    const auto set = sets.find(process_set);
    return set != sets.end() && std::ranges::count(set->second, rank) > 0;
  }
  // As a session lets it.
  bool may_submit(const Announcement& item, int rank, size_t most) const {
    const Signature& s = item.signature;
    return knows(s.process_set, rank) && !joined.contains(s.process_set) &&
           tells_way(item.name) == (s.kind == CollectiveKind::Message) && in_flight.size() < most &&
           may_claim(in_flight, {s.process_set, item.name});
  }
  // All of them or, as what was not allowed, none.
  bool submits_all(const std::vector<Announcement>& items, int rank, size_t most) {
    Honest with_them = *this;
    for (const Announcement& item : items) {
      if (!with_them.may_submit(item, rank, most))
        return false;
      with_them.submits(item);
    }
    *this = std::move(with_them);
    return true;
  }
  void submits(const Announcement& item) {
    in_flight[{item.signature.process_set, item.name}] = item.signature;
    if (item.signature.kind == CollectiveKind::Join)
      joined.insert(item.signature.process_set);
  }
  void rejected(const Rejection& rejection) {
    if (in_flight.erase({rejection.process_set, rejection.name}) > 0 && rejection.name.empty())
      joined.erase(rejection.process_set);
  }
  // Nothing of it: another rank's, or stood in for.
  std::optional<Signature> ready(const ReadyOp& op) {
    const auto own = in_flight.extract({op.process_set, op.name});
    if (!own)
      return std::nullopt;
    const Signature& s = own.mapped();
    if (s.kind == CollectiveKind::Join)
      joined.erase(s.process_set);
    if (s.kind == CollectiveKind::RemoveProcessSet)
      sets.erase(static_cast<uint32_t>(s.operand.at(0)));
    if (s.kind == CollectiveKind::AddProcessSet && op.extents.size() == 1) {
      last_set = static_cast<uint32_t>(op.extents[0]);
      sets[last_set].assign(s.operand.begin(), s.operand.end());
    }
    return s;
  }
};

class Promises {
 protected:
  explicit Promises(Input& in)
      : hostile_(1 + static_cast<int>(in.below(2))),
        kind_(in.below(8)),
        limits_(limits(kind_)),
        stalls_(stalls(kind_)),
        cluster_({limits_, kProcessSets, kSettings, stalls_}) {}

  Coordinator& coordinator() { return cluster_.coordinator(); }
  Honest& honest(int rank) { return honest_[static_cast<size_t>(rank)]; }
  bool formed() { return cluster_.seen(0).formed; }

  void check_all() {
    for (int rank = 0; rank < static_cast<int>(kRanks); ++rank)
      if (rank != hostile_)
        check(rank);
    if (!formed())
      return;
    for (const CloseRank& close : cluster_.closed)
      require(close.rank == hostile_, "only the hostile rank's connection is closed");
    require(coordinator().pending() <= kRanks * limits_.max_pending, "pending tensors are bounded");
    require(coordinator().cached() <= limits_.cache_capacity, "the cache is bounded");
    require(coordinator().stored_bytes() <= kRanks * limits_.store_bytes, "the store is bounded");
    require(
        coordinator().failed() || coordinator().store_waits() <= asked_of_store(),
        "only who asked the store waits");
    const Dropped dropped = coordinator().dropped();
    require(
        dropped.job + dropped.epoch + dropped.incarnation + dropped.seq <= said_,
        "no word of an honest rank is dropped");
    require(
        coordinator().deadline().has_value() <= !coordinator().failed(), "a verdict ends waiting");
    if (coordinator().concluded())
      require(coordinator().flush().empty(), "nothing is agreed upon after a failure");
  }

  // Only the hostile rank is missing, or goes again.
  void run_out_of_time(bool goes) {
    Membership& membership = cluster_.membership();
    if (goes)
      membership.on_lost(hostile_);
    for (const int rank : membership.missing())
      require(rank == hostile_ || membership.ended(), "the honest ranks have joined");
    cluster_.act(membership.tick(membership.deadline()));
    cluster_.settle();
    require(membership.ended(), "a group does not form for ever");
  }

  // Requires: all have announced whole what they mean by this name, and the hostile one no lies.
  void check_answered(const TensorKey& name) {
    const Dropped dropped = coordinator().dropped();
    if (dropped.epoch + dropped.incarnation + dropped.seq > 0)
      return;  // of the hostile one: it did not come whole
    for (int rank = 0; rank < static_cast<int>(kRanks); ++rank)
      for (const auto& [key, signature] : honest(rank).in_flight)
        require(
            rank == hostile_ || key.first != name.first || may_claim({{key, signature}}, name),
            "what all have announced under one name is answered");
  }

  // How many answers honest ranks lack, or have taken back, which may not have come yet; and the
  // hostile one may.
  size_t asked_of_store() {
    size_t asked = said_ + taken_back_;
    for (const Honest& mine : honest_) asked += mine.requests.size();
    return asked;
  }

  void check(int rank) {
    if (const auto& why = cluster_.seen(rank).not_formed)
      require(
          why->culprit() == hostile_ || accused_.contains(why->culprit()) ||
              why->code() == Code::Mismatch || why->code() == Code::Timeout,
          "a group that does not form blames who kept it from forming");
    check_failures(rank);
    check_agreements(rank);
    check_replies(rank);
  }

  void check_failures(int rank) {
    Honest& mine = honest(rank);
    const auto& failures = cluster_.seen(rank).failures;
    for (; mine.failures < failures.size(); ++mine.failures) {
      const PeerFailure& failure = failures[mine.failures];
      if (failure.left) {
        mine.left = mine.left || failure.rank == rank || failure.rank == 0;
        continue;
      }
      require(!mine.ended, "there is one verdict");
      require(
          failure.rank == hostile_ || accused_.contains(failure.rank) || gives_up_waiting(failure),
          "only the hostile rank, or whom it accused, is blamed");
      if (verdict_)
        require(*verdict_ == failure, "all are told the same verdict");
      verdict_ = failure;
      mine.ended = true;
      mine.in_flight.clear();
    }
  }

  void check_reports() {
    for (const StallReport& report : cluster_.reports) {
      require(report.stalls.size() <= StallReport::kMost, "a report is bounded");
      require(report.testimonies.size() <= kRanks, "each rank speaks once");
      for (const Testimony& told : report.testimonies)
        require(told.text.size() <= kMaxStackBytes, "nobody says more than is shown");
      for (const Stall& stall : report.stalls)
        require(!stall.submitted.empty() && !stall.missing.empty(), "some wait for others");
      check_lines(report);
    }
    cluster_.reports.clear();
  }

  // Where others wait for them too long, whoever they are; the hostile one may have begun alone.
  bool gives_up_waiting(const PeerFailure& failure) const {
    return stalls_.abort > Duration(0) && cluster_.now - kStart >= stalls_.abort &&
           failure.code == Code::Timeout &&
           failure.cause.ends_with(
               "(FARANDOLE_STALL_SHUTDOWN_TIME; raise it, or set 0, where ranks may be as late)");
  }

  void check_agreements(int rank) {
    Honest& mine = honest(rank);
    const auto& agreements = cluster_.seen(rank).agreements;
    for (; mine.agreements < agreements.size(); ++mine.agreements) {
      const Agreement& round = agreements[mine.agreements];
      for (const ReadyOp& op : round.ready) check_ready(rank, op);
      for (const Rejection& rejection : round.rejected) {
        require(!rejection.why.is_ok(), "a rejection says why");
        mine.rejected(rejection);
      }
      if (mine.left)
        continue;
      require(round.round == mine.agreements + 1, "rounds have no gaps");
      if (rounds_.size() < round.round)
        rounds_.push_back(round);
      require(rounds_[mine.agreements] == round, "all are told the same rounds");
    }
  }

  void check_ready(int rank, const ReadyOp& op) {
    Honest& mine = honest(rank);
    const bool joined = !op.name.empty() && mine.joined.contains(op.process_set);
    const Way way = testing::way_of_name(op.name);
    const bool elsewhere = way.any() && way.from != rank && way.to != rank;
    const bool member = mine.knows(op.process_set, rank) && !elsewhere;
    const uint32_t last_set = mine.last_set;
    const std::optional<Signature> own = mine.ready(op);
    require(
        own || !member || (joined && op.stand_in),
        "only what all members announced, or have joined, is agreed upon");
    if (own && own->kind == CollectiveKind::AddProcessSet)
      require(
          op.extents.size() == 1 && op.extents[0] > int64_t{last_set},
          "a new set has a number, which is never given again");
    if (own && own->kind == CollectiveKind::Join)
      require(
          op.extents.size() == 1 && mine.knows(op.process_set, static_cast<int>(op.extents[0])),
          "who joined last is one of the set");
  }

  void check_replies(int rank) {
    const auto& replies = cluster_.seen(rank).replies;
    for (; honest(rank).replies < replies.size(); ++honest(rank).replies)
      require(
          honest(rank).requests.erase(replies[honest(rank).replies].request) == 1,
          "a store request is answered once");
  }

  const int hostile_;
  const size_t kind_;  // of job
  const Limits limits_;
  const StallPolicy stalls_;
  Cluster cluster_;
  uint64_t said_ = 0;      // messages of the hostile rank
  std::set<int> accused_;  // by it
  size_t taken_back_ = 0;  // requests of honest ranks to the store

 private:
  static Limits limits(size_t kind) {
    Limits limits = tight_limits();
    limits.cache_capacity = kind % 4;
    return limits;
  }
  static StallPolicy stalls(size_t kind) {
    Config config;
    config.stall_check_time = std::chrono::seconds(kind == 5 ? 0 : 1);
    config.stall_shutdown_time = std::chrono::milliseconds(kind < 4 ? 0 : 1500);
    config.stall_check_disable = kind == 3;
    return StallPolicy::of(config);
  }

  std::vector<Agreement> rounds_;
  std::optional<PeerFailure> verdict_;
  Honest honest_[kRanks];
};

}  // namespace farandole::fuzz

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
#include "tests/fuzz/generate.h"
#include "tests/fuzz/target.h"
#include "tests/protocol/cluster.h"

namespace farandole::fuzz {

using namespace control;

using TensorKey = std::pair<uint32_t, std::string>;
inline const std::vector<Setting> kSettings = {{"fusion_bytes", "64"}};
inline const std::map<uint32_t, std::vector<int>> kProcessSets = {{1, {0, 1}}, {2, {1, 2}}};

inline bool is_member(uint32_t process_set, int rank) {
  if (process_set == 0)
    return true;
  const auto set = kProcessSets.find(process_set);
  return set != kProcessSets.end() && std::ranges::count(set->second, rank) > 0;
}

// What an honest rank has asked for, and how much of the answers has been looked at.
struct Honest {
  std::set<TensorKey> in_flight;
  std::set<uint64_t> requests;
  size_t agreements = 0;
  size_t failures = 0;
  size_t replies = 0;
  bool left = false;   // it, or the coordinator's rank: agreements are its own affair now
  bool ended = false;  // by the verdict
};

class Promises {
 protected:
  explicit Promises(Input& in)
      : hostile_(1 + static_cast<int>(in.below(2))),
        limits_(limits(in)),
        cluster_({limits_, kProcessSets, kSettings}) {}

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
    require(coordinator().store_waits() <= asked_of_store(), "only who asked the store waits");
    const Dropped dropped = coordinator().dropped();
    require(
        dropped.job + dropped.epoch + dropped.incarnation + dropped.seq <= said_,
        "no word of an honest rank is dropped");
    require(
        coordinator().deadline().has_value() <= !coordinator().failed(), "a verdict ends waiting");
    if (coordinator().concluded())
      require(coordinator().flush().empty(), "nothing is agreed upon after a failure");
  }

  // How many answers honest ranks lack, and the hostile one may.
  size_t asked_of_store() {
    size_t asked = said_;
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
          failure.rank == hostile_ || accused_.contains(failure.rank),
          "only the hostile rank, or whom it accused, is blamed");
      if (verdict_)
        require(*verdict_ == failure, "all are told the same verdict");
      verdict_ = failure;
      mine.ended = true;
      mine.in_flight.clear();
    }
  }

  void check_agreements(int rank) {
    Honest& mine = honest(rank);
    const auto& agreements = cluster_.seen(rank).agreements;
    for (; mine.agreements < agreements.size(); ++mine.agreements) {
      const Agreement& round = agreements[mine.agreements];
      for (const ReadyOp& op : round.ready) {
        const bool answers = mine.in_flight.erase({op.process_set, op.name}) > 0;
        require(
            answers || !is_member(op.process_set, rank),
            "only what all members announced is agreed upon");
      }
      for (const Rejection& rejection : round.rejected) {
        require(!rejection.why.is_ok(), "a rejection says why");
        mine.in_flight.erase({rejection.process_set, rejection.name});
      }
      if (mine.left)
        continue;
      require(round.round == mine.agreements + 1, "rounds have no gaps");
      if (rounds_.size() < round.round)
        rounds_.push_back(round);
      require(rounds_[mine.agreements] == round, "all are told the same rounds");
    }
  }

  void check_replies(int rank) {
    const auto& replies = cluster_.seen(rank).replies;
    for (; honest(rank).replies < replies.size(); ++honest(rank).replies)
      require(
          honest(rank).requests.erase(replies[honest(rank).replies].request) == 1,
          "a store request is answered once");
  }

  const int hostile_;
  const Limits limits_;
  Cluster cluster_;
  uint64_t said_ = 0;      // messages of the hostile rank
  std::set<int> accused_;  // by it

 private:
  static Limits limits(Input& in) {
    Limits limits = tight_limits();
    limits.cache_capacity = in.below(4);
    return limits;
  }

  std::vector<Agreement> rounds_;
  std::optional<PeerFailure> verdict_;
  Honest honest_[kRanks];
};

}  // namespace farandole::fuzz

#pragma once
// I4: an operation runs only if all members have submitted what fits together; what does not fit
// ends in one error, and nothing else does.

#include <map>
#include <set>

#include "tests/sim/monitor.h"

namespace farandole::sim {

class AgreementMonitor final : public Monitor {
 public:
  AgreementMonitor(const Plan& plan, Findings& findings);
  void on_submitted(
      int rank, const control::Key& key, const Signature& signature, TimePoint now) override;
  void on_agreement(int rank, const Agreement& agreement) override;
  void on_failure(int rank, const PeerFailure& failure, TimePoint now) override;
  void on_goodbye(int rank) override { goodbyes_.insert(rank); }

 private:
  struct Submission {
    Signature signature;
    bool in_flight = false;  // as far as this rank has heard
    bool open = false;       // nothing that anybody has heard was made of it
    size_t number = 0;       // of this rank's, in their order
  };
  struct Seen {
    std::map<control::Key, Submission> submissions;
    size_t submitted = 0;
    bool alone = false;
    bool failed = false;
  };
  // What the members have in flight, in their order, and who of them has joined instead; others
  // are in neither.
  struct Collected {
    std::vector<Signature> signatures;
    std::vector<int> submitted;
    std::vector<int> joined;
    bool torn =
        false;  // members mean unlike groups by the name of this one, and have them in flight
    bool whole(size_t members) const {
      return !signatures.empty() && signatures.size() + joined.size() == members;
    }
  };
  // Also of a set that was removed; empty where there has been none.
  std::vector<int> members(uint32_t process_set, const std::string& name = {}) const;
  // Of what adds or removes a set.
  void check_change(const ReadyOp& op, const Signature& wanted);
  // Whether what all members want alike can be.
  bool possible(const Collected& found, const std::vector<int>& members) const;
  Seen& seen(int rank) { return seen_[static_cast<size_t>(rank)]; }
  void check_ready(const ReadyOp& op);
  void check_rejected(const Rejection& rejection, const Collected& found);
  Collected collect(const control::Key& key, const std::vector<int>& members);
  bool waits(int rank, const control::Key& key);
  // Whether all members submitted it before what removed its set.
  bool preceded_removal(const control::Key& key, const Collected& found);
  bool is_torn(const control::Key& key, const std::vector<int>& members);
  bool is_open(int rank, const control::Key& key);
  void close(uint32_t process_set, const std::string& name);
  void check_join(const ReadyOp& op, const std::vector<int>& members);
  void check_stand_in(const ReadyOp& op, const Collected& found);

  const Plan& plan_;
  std::map<uint32_t, std::vector<int>> sets_;  // all that have ever been
  std::set<uint32_t> removed_;                 // of these
  std::set<uint32_t> removed_in_round_;        // of these, in the newest round
  std::map<uint32_t, std::string> removals_;   // by which operation
  std::vector<Seen> seen_;
  std::set<int> goodbyes_;
  uint64_t newest_round_ = 0;
};

// Whether operations of these signatures can be one, judged anew: no code of the product is used.
bool fit(const std::vector<Signature>& signatures);
// Whether signatures that fit are of what can be done: a root is a member, and of a scatter it has
// rows, and not what receivers have; and Adasum is an allreduce.
bool can_be_done(
    const std::vector<Signature>& signatures,
    const std::vector<int>& submitted,
    const std::vector<int>& members);
// As ReadyOp::extents, of those who submitted; nothing of the other members.
std::vector<int64_t> extents_of(
    const std::vector<Signature>& signatures,
    const std::vector<int>& submitted,
    const std::vector<int>& members);
// Whether the operation has no meaning without those that have joined.
bool needs_joined(
    const std::vector<Signature>& signatures,
    const std::vector<int>& members,
    const std::vector<int>& joined);

}  // namespace farandole::sim

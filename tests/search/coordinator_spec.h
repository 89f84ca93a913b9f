#pragma once
// CoordinatorSpec: what a coordinator may and must say, worked out from what it has heard, without
// its code. Invariants I1, I3, I4, I5 and I14 as far as one process can break them.

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controller/protocol/key.h"
#include "controller/protocol/messages.h"
#include "tests/search/scenario.h"
#include "tests/search/state_access.h"

namespace farandole::search {

class CoordinatorSpec {
 public:
  struct Said {
    int rank;
    const control::Message* message;
  };

  // What happens to the coordinator; said() comes after each, with all that it sends then. Gives
  // what is wrong with that, or nothing.
  void hears(int rank, const control::Message& message);
  void loses(int rank);
  void hears_nothing_of(int rank);  // its heartbeats
  void confirm_time_passes();
  std::string said(const std::vector<Said>& all);

  const std::optional<int>& verdict() const noexcept { return verdict_; }
  bool finished(int rank) const { return finished_[static_cast<size_t>(rank)]; }
  bool gone(int rank) const { return gone_[static_cast<size_t>(rank)]; }
  // Announcements of `rank` that wait for others.
  size_t waiting(int rank) const;
  bool joined(int rank) const {
    return joined(0, rank) || std::ranges::any_of(
                                  deferred_[static_cast<size_t>(rank)],
                                  [](const Announcement& item) { return item.name.empty(); });
  }
  // Text that is equal for specs that demand the same.
  void write(control::StateText& to) const;

 private:
  using Key = control::Key;
  struct Tensor {
    Signatures announced;          // and not answered
    Signatures last;               // announced in full
    std::vector<int64_t> extents;  // told last
    int last_rank = -1;            // that announced it
  };

  std::string says_round(const control::Round& round);
  void announced(int rank, const Announcement& item);
  // An empty stand-in is none.
  std::string says_ready(
      const Key& key, const std::vector<int64_t>& extents, const std::optional<StandIn>& stand_in);
  std::string says_changed(const Signature& wanted, const std::vector<int64_t>& extents);
  std::string says_rejected(const Rejection& rejection);
  std::string says_failure(const PeerFailure& failure);
  bool anyone_to_tell() const;
  std::string check_receivers() const;
  bool broken(uint32_t process_set) const;
  bool exists(uint32_t process_set) const;
  bool joined(uint32_t process_set, int rank) const;
  bool complete(const Key& key, const Tensor& tensor) const;
  // Whether what adds or removes a set cannot be.
  bool impossible(const Key& key, const Tensor& tensor) const;
  // Whether ranks mean unlike things by the name of its group, and all of everybody's has come.
  bool torn(const Key& key) const;
  // What waits under the name of that group.
  std::vector<Key> under_one_name(const Key& key) const;

  std::map<Key, Tensor> tensors_;
  std::map<uint32_t, Key> ids_;  // every id ever given
  uint32_t last_set_ = 1;
  bool added_ = false;           // there is a set of ranks 0 and 1: the last one
  PerRank<uint32_t> resends_{};  // asked for and not answered
  // Joins and removals that wait for that.
  PerRank<std::vector<Announcement>> deferred_{};
  PerRank<bool> gone_{};      // left
  PerRank<bool> finished_{};  // has said its last word
  PerRank<bool> gave_up_zero_{};
  std::optional<int> accuser_;             // the first one
  PerRank<std::optional<int>> accused_{};  // by each rank
  std::optional<int> verdict_;

  // Of the step under way.
  std::optional<int> due_;  // culprit of the verdict that must be given now
  int unreachable_ = -1;
  int leaving_ = -1;
  bool acknowledged_ = false;
  std::vector<std::pair<int, uint32_t>> by_id_;  // announced so
  std::set<Key> due_to_reject_;                  // the rest of a torn group
  PerRank<size_t> told_{};                       // messages to all, by receiver
  PerRank<size_t> owed_{};
};

}  // namespace farandole::search

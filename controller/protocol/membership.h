#pragma once
// Membership: the coordinator's side of forming a group: who has joined, who is missing.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "controller/protocol/actions.h"
#include "controller/protocol/limits.h"
#include "controller/protocol/link.h"
#include "core/base/clock.h"

namespace farandole::control {

struct MembershipOptions {
  Limits limits;
  std::vector<Setting> settings;  // shared_settings() of this rank
  uint64_t job = 0;
  uint64_t incarnation = 0;  // of this process
  uint32_t epoch = 1;        // of the group that forms
  TimePoint start;
  TimePoint deadline;
};

// A formed group, handed on to the Coordinator.
struct Group {
  uint32_t epoch = 0;
  std::vector<Member> members;  // in rank order
  std::vector<Link> links;      // likewise
};

// Every rank joins, rank 0 too. Ends once, in Formed or in NotFormed; whoever is connected then, or
// connects later, is told the reason, whether it has said anything or not. No I/O, no clock: tick()
// must be called at deadline().
class Membership {
 public:
  explicit Membership(MembershipOptions options);

  // There is a connection that authenticated itself as `rank`. Rank 0 has one from the beginning.
  Actions on_connected(int rank);
  // A message on it.
  Actions on_frame(int rank, std::span<const uint8_t> frame);
  // It broke: the rank is missing again.
  void on_lost(int rank);
  // What keeps rank 0 from hearing the others: the group does not form.
  Actions on_obstacle(Status why);
  // NotFormed with Timeout, naming who is missing, once the deadline has passed.
  Actions tick(TimePoint now);

  TimePoint deadline() const noexcept { return options_.deadline; }
  bool ended() const noexcept { return ended_; }
  bool refused() const noexcept { return !refused_.is_ok(); }
  std::vector<int> missing() const;
  // Requires: Formed was given; called once.
  Group take_group();

 private:
  friend struct StateAccess;  // of tests: copies and compares states
  Actions join(int rank, Join message);
  Actions given_up(int rank, const PeerFailure& failure);
  Status judge(int rank, const Join& message) const;
  Actions form();
  Actions refuse(Status why);
  Actions tell_refusal(int rank);

  MembershipOptions options_;
  std::vector<Link> links_;
  std::vector<bool> connected_;
  std::vector<std::optional<Member>> joined_;
  size_t count_ = 0;
  bool ended_ = false;
  Status refused_;  // why the group was refused
};

}  // namespace farandole::control

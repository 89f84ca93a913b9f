#pragma once
// Caller: the program of one rank, with what Session and Engine do for it: submits tensors in an
// order of its own, executes what is agreed, uses the store, shuts down.

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/protocol/actions.h"
#include "controller/protocol/key.h"
#include "controller/tcp/driver.h"
#include "tests/sim/data_plane.h"
#include "tests/sim/monitor.h"
#include "tests/sim/plan.h"
#include "tests/sim/process.h"

namespace farandole::sim {

class Caller final : public ControlSink {
 public:
  struct Parts {
    const Plan* plan = nullptr;
    int rank = 0;
    Process* process = nullptr;
    DataPlane* data = nullptr;
    Monitors* monitors = nullptr;
    std::function<control::Driver&()> driver;
    std::function<void(std::string)> trace;
    std::function<void(std::string)> violated;
    std::function<void()> stop;  // everything is over: close the control plane
  };
  explicit Caller(Parts parts);

  void begin();  // the group has formed
  void shut_down();
  void on_agreement(Agreement agreement) override;
  void on_failure(PeerFailure failure) override;
  void on_reply(const control::StoreReply& reply);
  // What still waits for an answer, for people; empty once all is settled.
  std::string unsettled() const;
  bool closed() const noexcept { return closed_; }
  bool late() const noexcept { return late_; }
  // The control plane is about to close.
  void end();

 private:
  struct Lane {
    std::deque<control::Key> queue;
    uint64_t next = 0;
    bool busy = false;
  };
  void hand_over(Task task);
  void handle(const Agreement& agreement);
  void handle(const PeerFailure& failure);
  void think();
  void go_on();
  bool submit_some();
  // False: a set may still be added that it would have to join, too.
  bool join_all();
  void announce(std::vector<Announcement> batch);
  bool enter_step();
  void use_store();
  void settle(const control::Key& key);
  void run(uint32_t lane);
  void executed(uint32_t lane, std::optional<PeerFailure> found);
  // That of the set, or of the two ends of a message there.
  static uint32_t lane_of(const control::Key& key);
  void tell_backlog();
  void tell_finished();
  void left_or_late();
  void drained_or_late();
  void close();
  int blamed() const;
  // Of this set, as far as this rank knows.
  std::vector<int> members(uint32_t process_set) const;
  bool is_member(uint32_t process_set) const;
  // Of what has this name there: the ends of a message.
  std::vector<int> members(const control::Key& key) const;
  bool takes_part(const control::Key& key) const;
  // Whether a rank of the set, or the coordinator's, has departed.
  bool needs_departed(uint32_t process_set) const;
  void change_sets(const control::Key& key, const ReadyOp& op);
  // Whether it ends behind the work of its lane, without a part in the data plane: joins, and what
  // removes a set.
  static bool ends_alone(const control::Key& key);
  // The set of an operation that can be submitted now. `drop`: it never can.
  std::optional<uint32_t> set_of(const Op& op, bool& drop) const;
  bool is_taken(const control::Key& key, int step) const;
  // The next that can be submitted; null where there is none now.
  const Op* next(uint32_t& process_set);

  Parts parts_;
  Rng random_;
  int step_ = -1;
  std::vector<const Op*> todo_;                // of this step, in this rank's order
  std::map<control::Key, int> in_flight_;      // and the step that each belongs to
  std::set<control::Key> given_up_;            // settled here, not answered yet
  std::map<uint32_t, std::vector<int>> sets_;  // that exist, or have been removed
  std::map<std::string, uint32_t> added_;      // by what added them
  std::set<uint32_t> removed_;
  std::map<uint32_t, Lane> lanes_;
  std::map<uint64_t, std::string> store_waiting_;
  uint64_t store_requests_ = 0;
  std::optional<PeerFailure> verdict_;
  bool joined_ = false;     // submits nothing more
  std::set<int> departed_;  // who has left, where the plan says that this ends the program
  bool acknowledged_ = false;
  bool last_agreed_ = false;
  bool accused_ = false;  // an operation waits for the verdict
  bool finished_told_ = false;
  bool stopping_ = false;
  bool waiting_left_ = false;
  bool draining_ = false;
  bool closed_ = false;
  bool late_ = false;  // the time for the goodbye was over
  bool thinking_ = false;
  bool backlog_told_ = false;
};

}  // namespace farandole::sim

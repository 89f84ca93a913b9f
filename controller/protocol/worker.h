#pragma once
// Worker: one rank's side of the protocol. Turns what the engine says into messages for the
// coordinator, and the coordinator's messages back into agreements, failures and store replies.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "controller/protocol/actions.h"
#include "controller/protocol/key.h"
#include "controller/protocol/limits.h"
#include "controller/protocol/link.h"

namespace farandole::control {

struct WorkerOptions {
  Limits limits;
  int rank = 0;
  uint64_t job = 0;
  uint64_t incarnation = 0;
};

// States: Joining -> Active -> Orphaned -> Finished -> Closed; each -> Ended, by a failure.
// Thread: one at a time. No I/O, no clock.
class Worker {
 public:
  explicit Worker(const WorkerOptions& options);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Asks to be let in. Called once, first. Ends in Formed or NotFormed.
  Actions join(Member self, std::vector<Setting> settings);
  // A message from the coordinator. One that is malformed ends in Fail blaming rank 0.
  Actions on_frame(std::span<const uint8_t> frame);
  // The coordinator cannot be reached any more. No Fail if finished() came before.
  Actions on_lost(const std::string& cause);
  // As on_lost, of a coordinator that says nothing any more, but may only have been stopped: it is
  // told, so that it accuses nobody when it wakes.
  Actions on_silent(const std::string& cause);

  // What the engine asks for. Requires (announce): within the limits, and no name that is in
  // flight, unless its operation failed because a rank left. After this rank or the coordinator has
  // left, announcements come back rejected; after a failure nothing comes back, but store requests
  // are always answered.
  Actions announce(std::vector<Announcement> announcements);
  // An accusation, to be judged by the coordinator; by this rank itself after finished().
  Actions report(PeerFailure failure);
  // Says goodbye, and why. Agreements go on to be delivered until Fail{this rank, left}.
  Actions leave(std::string cause = "shutdown");
  // All that was agreed upon is carried out. Requires: Fail{this rank or rank 0, left} came.
  // Nothing is sent any more; waiting store requests end.
  Actions finished();

  // To Testify. Cut where it is too long.
  Actions answer(uint64_t number, std::string text);

  // `request` comes back in a StoreReply; unique among this rank's requests.
  Actions store_set(uint64_t request, std::string key, Bytes value);
  Actions store_get(uint64_t request, std::string key);
  Actions store_cancel(uint64_t request);  // no StoreReply afterwards

  const std::vector<Member>& members() const noexcept { return members_; }
  uint32_t epoch() const noexcept { return epoch_; }
  const Dropped& dropped() const noexcept { return link_.dropped(); }
  size_t cached() const noexcept { return by_id_.size(); }

 private:
  friend struct StateAccess;  // of tests: copies and compares states
  enum class State : uint8_t {
    Joining,
    Active,
    Orphaned,  // this rank or the coordinator has left: no agreement any more
    Finished,  // and all that was agreed upon is carried out
    Closed,    // and the connection is closed
    Ended,     // the job has failed, or the group did not form
  };
  // A tensor that is in flight, has an id, or both.
  struct Entry {
    Signature signature;     // last announced; that which the id stands for, unless in flight
    bool announced = false;  // signature is set
    bool in_flight = false;
    uint32_t sent_id = 0;  // in flight under this id
    uint32_t id = 0;       // 0: none
    std::vector<int64_t> extents;
  };
  using Table = std::unordered_map<Key, Entry, KeyHash>;
  using Row = Table::value_type;
  struct StoreRequest {
    std::string key;
    size_t bytes = 0;  // published by a set
    bool is_set = false;
  };

  bool may_send() const noexcept { return state_ == State::Active || state_ == State::Orphaned; }
  // Nothing is agreed upon any more, in order.
  bool over() const noexcept {
    return state_ == State::Orphaned || state_ == State::Finished || state_ == State::Closed;
  }
  Action send(const Message& message);
  Actions send_announcements(
      std::vector<Announcement> full, std::vector<uint32_t> cached, uint32_t resends = 0);
  Actions reject_locally(std::vector<Announcement> announcements);

  Actions on(Welcome& message);
  Actions on(Refuse& message);
  Actions on(Round& message);
  Actions on(Resend& message);
  Actions on(Failure& message);
  Actions on(StoreValue& message);
  Actions on(StoreError& message);
  Actions on(Inquiry& message);
  template <typename Other>
  Actions on(Other&) {
    return malformed("a message that only other ranks send");
  }

  // Fail: with what is wrong with the round.
  Status take_ready(Round& round, Agreement& agreement);
  Status take_known(uint32_t id, Agreement& agreement);
  Status take_detail(Detail& detail, Agreement& agreement);
  void take_rejected(Round& round, Agreement& agreement);
  Row* sent_under(uint32_t id);
  void forget(uint32_t id);
  void drop_id(Row& row);
  void settle(Row& row);
  void erase_idle(Row& row);
  Actions orphan(PeerFailure failure);
  Action farewell();
  Actions end(PeerFailure failure);
  Actions malformed(const std::string& what);
  void answer_waiting(const Status& why, Actions& actions);
  Actions refuse_store(uint64_t request, Status why);
  Status store_admits(const std::string& key, size_t bytes) const;

  WorkerOptions options_;
  State state_ = State::Joining;
  Link link_;
  uint32_t epoch_ = 0;
  uint64_t round_ = 0;
  std::vector<Member> members_;
  Table table_;
  std::unordered_map<uint32_t, Row*> by_id_;
  std::unordered_map<uint32_t, Row*> resendable_;  // announced by an id since evicted
  std::map<uint64_t, StoreRequest> store_waiting_;
  size_t store_bytes_ = 0;  // published, or being
  size_t store_keys_ = 0;
  uint64_t asked_ = 0;  // the Inquiry that is to be answered; 0: none
  bool reported_ = false;
  bool leaving_ = false;  // said goodbye
  bool left_ = false;     // and it has been acknowledged
  Status orphaned_;       // why nothing is agreed upon any more
  Status ended_;          // why the store cannot be reached any more
};

}  // namespace farandole::control

#pragma once
// Plan: everything that a seed decides beforehand. Taking an item out of it leaves the rest as it
// was, so that a failing plan can be made smaller.

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/request.h"

namespace farandole::sim {

// One tensor in one step of the program that all ranks run, or what adds or removes a process set.
struct Op {
  int step = 0;
  std::string name;
  Signature signature;
  // Name of what adds the set that it belongs to, or removes: its number is known only then.
  std::string of_set;
  bool ragged = false;  // rows differ between ranks; the receiver of a message has memory
  int misfit = -1;      // this rank's signature does not fit
  int misfit_how = 0;
  int absent = -1;      // this rank never submits it
  std::vector<int> by;  // who does: others mean an unlike group by the name; empty: all members
  bool is_by(int rank) const { return by.empty() || std::ranges::count(by, rank) > 0; }
};

struct StoreUse {
  enum class Kind : uint8_t { Set, Get, GiveUp };  // GiveUp: a get that is cancelled
  Kind kind = Kind::Set;
  int rank = 0;
  int step = 0;
  std::string key;
};

inline constexpr size_t kStoreValueBytes = 9;  // of each value that is set

// What one rank does differently from the others.
struct Habit {
  Duration start{};    // when its process starts
  bool never = false;  // it does not
  bool other_settings = false;
  bool other_job = false;   // it belongs to
  bool other_size = false;  // of the job, as it has been told
  int leave_after = -1;     // step after which it leaves; -1: the last
  int join_after = -1;      // step after which it joins, where ranks do; -1: the last
};

struct Fault {
  enum class Kind : uint8_t {
    Kill,       // dead between two instructions
    Doom,       // dead in the middle of an action: `actions` later
    Leave,      // says goodbye in the middle of whatever it does
    Vanish,     // its host is gone: no packet ever again
    LateEnd,    // dead, and the others' kernels hear of it much later
    Stop,       // SIGSTOP for a while
    Block,      // packets from `rank` to `other` are dropped for a while
    Cut,        // both directions
    Reset,      // RST injected between `rank` and `other`
    Jump,       // the clock of `rank` leaps ahead
    Stale,      // an old or foreign frame reaches `rank`
    Respawn,    // dead; and where the group had not formed, started again after `length`
    HalfReset,  // as Reset, but only the end of `rank` hears; odd `actions`: of the newest alone
    DataReset,  // of the connections on which the two exchange data
    Twin,       // another process says that it is `rank`, for a while, in a manner of Twin
    Isolate,    // the host of `rank` is cut off from all others for a while, in an Isolation
  };
  Kind kind = Kind::Kill;
  Duration at{};
  Duration length{};
  int rank = 0;
  int other = 0;
  uint64_t actions = 0;
};
inline constexpr size_t kFaultKinds = static_cast<size_t>(Fault::Kind::Isolate) + 1;
// What a host that is cut off drops: all, what comes in, what goes out.
enum class Isolation : uint8_t { Both, In, Out };
inline constexpr uint64_t kIsolations = static_cast<uint64_t>(Isolation::Out) + 1;
Isolation isolation_of(const Fault& fault) noexcept;  // `actions`
const char* name_of(Fault::Kind kind) noexcept;

struct Plan {
  uint64_t seed = 0;
  int size = 2;
  std::vector<int> hosts;  // of each rank
  // Product knobs.
  int64_t cache_capacity = 16384;
  int64_t fusion_bytes = 64 << 20;
  int64_t max_frame_bytes = 16 << 20;
  int64_t max_pending = 1 << 20;
  int64_t store_bytes = 16 << 20;
  int64_t send_queue_bytes = 64 << 20;
  Duration heartbeat_interval{};
  Duration heartbeat_timeout{};
  Duration start_timeout{};
  Duration shutdown_timeout{};
  Duration data_timeout{};
  Duration stall_report{};  // none: nobody looks
  Duration stall_abort{};   // likewise; none: they end no job
  Duration answer{};        // what a rank takes to say where it is
  Duration handshake_timeout = std::chrono::seconds(2);
  // The world.
  Duration delay_least{};
  Duration delay_most{};
  Duration retry{};
  Duration slowness{};          // of a process between two tasks
  Duration think{};             // between two submissions
  size_t capacity = 0;          // kernel buffers
  bool hand_off = false;        // the engine has a loop of its own
  bool fails_on_leave = false;  // programs end once a rank has left
  int depth = 1;                // steps under way at once
  int steps = 1;
  bool joins = false;  // each rank joins all its process sets before it goes
  std::map<uint32_t, std::vector<int>> process_sets;
  std::vector<Habit> habits;  // by rank
  std::vector<Op> ops;
  std::vector<StoreUse> stores;
  std::vector<Fault> faults;

  std::vector<int> members(uint32_t process_set) const;
  // Whether both are on one host.
  bool share_host(int a, int b) const;
  // Of what has this name there: the ends of a message.
  std::vector<int> members(uint32_t process_set, const std::string& name) const;
  // What adds a process set under this name; null where nothing does.
  const Op* adding(const std::string& name) const;
  // Whether data is given up before silence tells who is lost.
  bool gives_up_data_first() const noexcept { return data_timeout <= heartbeat_timeout; }
  // When the last fault is over.
  Duration calm() const;
};

// What `rank` submits for `op`, but for the number of a set that is added on the way.
Signature signature_of(const Plan& plan, const Op& op, int rank);

Plan draw_plan(uint64_t seed);
std::string to_string(const Plan& plan);
std::string to_string(const Fault& fault);

}  // namespace farandole::sim

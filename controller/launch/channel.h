#pragma once
// What launcher, agent and keepers of one host tell each other: small fixed messages over a
// socketpair. The descriptor is also the lease: when the upper end closes, for whatever reason, the
// lower one ends all that runs below it.

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <utility>

#include "controller/launch/fd.h"
#include "core/base/clock.h"

namespace farandole::launch {

// The most that ranks get between SIGTERM and SIGKILL when a lease has run out: whoever asked for a
// longer grace is gone, and nothing may stay behind for long.
inline constexpr Duration kLeaseGrace = std::chrono::seconds(2);
// For the other ranks to notice by themselves that one has failed, before they are told to end.
inline constexpr Duration kReportTime = std::chrono::seconds(1);

enum class MessageKind : int32_t {
  // downwards
  Signal,  // value: signal number
  End,     // time: grace between SIGTERM and SIGKILL; 0 kills at once
  // upwards
  Started,           // pid
  StartFailed,       // value: errno of the step that failed
  Exited,            // pid, value: wait status, detail: peak KiB, flag: out of memory
  KeeperLost,        // pid, value: wait status of the keeper
  Stuck,             // value: number of processes that SIGKILL did not end
  OutputUnreadable,  // value: errno
};

struct Message {
  MessageKind kind = MessageKind::Signal;
  int32_t rank = -1;
  int32_t pid = 0;
  int32_t value = 0;
  int64_t detail = 0;
  int64_t time = 0;   // nanoseconds
  bool flag = false;  // Signal: the terminal has sent it to the foreground group already

  bool operator==(const Message&) const = default;
};

// The message that `bytes` are, as it lay in the sender's memory: both ends are one program.
// nullopt where they are none.
std::optional<Message> decode_message(std::span<const uint8_t> bytes);

// One end. Neither sending nor receiving blocks; what the socket does not take at once waits here
// (a sender's few messages per rank bound it).
class Channel {
 public:
  enum class Receive { Got, Empty, Closed };

  Channel() = default;
  static Result<std::pair<Channel, Channel>> make_pair();

  int fd() const noexcept { return fd_.get(); }
  bool is_open() const noexcept { return static_cast<bool>(fd_); }
  bool wants_write() const noexcept { return is_open() && !outbox_.empty(); }
  void send(const Message& message);
  void flush();
  // Closed: the other end is gone, or sends no messages; this one is closed too.
  Receive receive(Message& message);
  void close() noexcept;

 private:
  explicit Channel(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
  std::deque<Message> outbox_;
};

}  // namespace farandole::launch

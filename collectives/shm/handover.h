#pragma once
// How a descriptor gets from the member that created it to the others: over a Unix socket in the
// abstract namespace, which has no file and goes with its owner. Its name is random and published
// through the Store; both sides check that the other runs as the same user, and the one that asks
// shows a token that only the Store gives out.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "collectives/shm/segment.h"
#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/interrupt.h"

namespace farandole::shm {

struct Meeting {
  std::string name;   // of the socket, 32 hexadecimal digits
  std::string token;  // 64 hexadecimal digits

  bool operator==(const Meeting&) const = default;
  static Result<Meeting> random();
  // One line for the Store, and back. Fails: Mismatch.
  std::string to_text() const { return name + " " + token; }
  static Result<Meeting> from_text(const std::string& text);
};

// Gives `fd` to everybody who may have it, on a thread of its own, until destroyed.
class HandoverServer {
 public:
  // Requires: fd stays open for the server's life. Fails: System.
  static Result<std::unique_ptr<HandoverServer>> start(const UniqueFd& fd, const Meeting& meeting);
  ~HandoverServer();
  HandoverServer(const HandoverServer&) = delete;
  HandoverServer& operator=(const HandoverServer&) = delete;

 private:
  HandoverServer(int shared, std::string token, UniqueFd listener, UniqueFd stop);
  void serve();
  void serve_one(const UniqueFd& peer);
  // False where `deadline` passed or the server is to stop before `fd` became readable.
  bool readable(int fd, TimePoint deadline);

  int shared_;
  std::string token_;
  UniqueFd listener_;
  UniqueFd stop_;  // an eventfd
  std::thread thread_;
};

// Fails: System, Timeout (says how long it waited), Mismatch where somebody else answers; at once
// what `interrupt` (or null) says. Who shall hand over may be dead although a forked child of it
// holds its socket open.
Result<UniqueFd> receive_descriptor(
    const Meeting& meeting, TimePoint deadline, const Interrupt* interrupt);

}  // namespace farandole::shm

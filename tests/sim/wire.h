#pragma once
// Wires: what lies between two processes. A Path is one direction between two of them; a Pipe is
// one direction of one connection: bytes in order, cut anywhere, late, held back or never there.

#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "tests/sim/process.h"
#include "tests/sim/rng.h"
#include "tests/sim/scheduler.h"

namespace farandole::sim {

struct PathOptions {
  Duration least{};
  Duration most{};   // of the delay of one piece
  Duration retry{};  // how much later what was held back comes, once the path is open again
};

class Path {
 public:
  Path(Scheduler& scheduler, uint64_t seed, PathOptions options)
      : scheduler_(scheduler), random_(seed), options_(options) {}

  bool open() const noexcept { return blocks_ == 0; }
  // Silently drops everything, until as many calls of unblock(). What TCP carries comes then.
  void block() noexcept { ++blocks_; }
  void unblock();
  // `arrive` runs when a piece sent now arrives; nothing is lost, order is the caller's business.
  void carry(Task arrive);
  Rng& random() noexcept { return random_; }
  Scheduler& scheduler() noexcept { return scheduler_; }

 private:
  Scheduler& scheduler_;
  Rng random_;
  PathOptions options_;
  unsigned blocks_ = 0;
  std::vector<Task> held_;
};

// Thread: none. Requires: the receiver sets `readable`, the sender `writable`, before they matter.
class Pipe : public std::enable_shared_from_this<Pipe> {
 public:
  Pipe(Path& path, size_t capacity) : path_(path), capacity_(capacity) {}

  // What the kernel takes now, 0 when its buffers are full. Requires: sender alive.
  size_t write(std::span<const uint8_t> bytes);
  // No more will come: FIN; or all is over at once: RST, which may overtake bytes.
  void finish();
  void reset();
  // The receiver is told of a reset by somebody else; the sender is not.
  void cut_off();

  size_t read(std::span<uint8_t> space);
  bool has_bytes() const noexcept { return !arrived_.empty(); }
  bool ended() const noexcept { return ended_ || broken_; }  // after the bytes that have arrived
  bool broken() const noexcept { return broken_; }
  // The receiver is gone: whatever arrives is answered by `refuse`.
  void abandon(Task refuse);
  bool abandoned() const noexcept { return abandoned_; }

  Task readable;  // bytes or an end have arrived
  Task writable;  // there is room again

 private:
  enum class Kind : uint8_t { Bytes, Fin, Reset };
  struct Piece {
    Kind kind;
    std::vector<uint8_t> bytes;
  };
  void send(Piece piece);
  void depart();
  void arrive(Piece piece);

  Path& path_;
  size_t capacity_;
  std::deque<Piece> flight_;
  size_t flying_ = 0;    // bytes
  bool moving_ = false;  // the first of flight_ is under way
  std::deque<uint8_t> arrived_;
  bool ended_ = false;
  bool broken_ = false;
  bool abandoned_ = false;
  bool full_ = false;
  Task refuse_;
};

// One end of a connection as a process holds it.
struct Socket {
  std::shared_ptr<Pipe> in;
  std::shared_ptr<Pipe> out;
  bool closed = false;

  bool reset = false;  // by somebody in between: its kernel says nothing more on its own account

  // As close(2): FIN, unless it was `said` before; or RST where unread bytes are thrown away.
  void close(bool said = false);
};

}  // namespace farandole::sim

#pragma once
// Link: the connection to one other member: frames out, frames in, and the matching of sends with
// receives (see frame.h). It never blocks; the mesh decides when it reads and writes.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <vector>

#include "collectives/gloo/transport/frame.h"
#include "collectives/gloo/transport/operation.h"
#include "collectives/gloo/transport/socket.h"
#include "core/base/status.h"

namespace farandole::gloo_transport {

// Receives that take a slot from whoever sends first. Kept by the mesh, for all links.
class AnySource {
 public:
  // Takes the oldest receive of `slot` that `peer` may serve; `served` tells whether an Offer of
  // the peer, rather than its payload, found it.
  virtual bool take(int peer, uint64_t slot, bool offered, Receive& receive) = 0;
  virtual bool wants(int peer, uint64_t slot) const = 0;

 protected:
  ~AnySource() = default;
};

// Thread: one at a time. Fails: PeerLost where the connection broke, the member left while it is
// needed, or what came does not keep the protocol (the way may have altered it, so it need not be a
// defect here). After a failure only say_leave() may still be called.
class Link {
 public:
  Link(AnySource& any, int peer, UniqueFd fd);
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  int peer() const noexcept { return peer_; }
  int fd() const noexcept { return fd_.get(); }

  // Nothing is written before flush().
  Status send(const Send& send);
  Status receive(const Receive& receive);
  // One-sided: into the peer's registered buffer `slot`, at `offset`.
  Status write(const Send& send, uint64_t offset);
  // Registers a buffer for the peer's writes; until then, reading stops at a write to it.
  Status expose(const Receive& buffer);
  void ask(uint64_t slot) { push_control({Opcode::Ask, slot, 0, 0}); }
  void unask(uint64_t slot) { push_control({Opcode::Unask, slot, 0, 0}); }
  // Whether a message for `slot` came before its receive and waits here.
  bool has_kept(uint64_t slot) const noexcept;
  // Nothing more comes from the peer, and nothing can be sent to it.
  bool ended() const noexcept { return ended_; }

  // Move what can be moved without blocking, within a budget; add the bytes to `moved`.
  Status flush(size_t& moved);
  Status read(size_t& moved);
  // Whether flush() could write something.
  bool wants_flush() const noexcept { return !queue_.empty() && !full_ && !broken_; }
  bool drained() const noexcept { return queue_.empty() || broken_; }
  // For poll(2); 0 with no interest even in a hang-up.
  short interest() const noexcept;
  void on_poll(short events) noexcept;

  // Removes what `sink` has here; true where something was left undone.
  bool forget(const Sink* sink) noexcept;
  // Whether a receive is posted, or a send not yet with the kernel.
  bool awaits_data() const noexcept { return body_left_ > 0 || !posted_.empty(); }
  bool awaits_sending() const noexcept { return !queue_.empty() || !waiting_.empty(); }

  // Queues the last frame, where the stream is between two frames, and writes what goes at once.
  // Payload not begun is dropped: it is of a failed operation, and its memory may be gone.
  void say_leave(Parting parting, int culprit) noexcept;
  // Closes the sending half, where all has been written.
  void finish() noexcept;
  // Reads and drops what has come. True once the peer has closed its half, too.
  bool discard() noexcept;
  // Bytes that the peer's kernel has not acknowledged.
  bool unacknowledged() const noexcept;
  // Where the peer left with a word about somebody else, that member's global rank; else -1.
  int named_culprit() const noexcept { return named_culprit_; }

 private:
  struct Outgoing {
    FrameBytes header;
    const uint8_t* data;
    size_t bytes;
    size_t sent;  // of header and data
    Sink* sink;
  };
  struct Kept {
    uint64_t slot = 0;
    std::vector<uint8_t> data;
  };
  struct Promise {  // a Credit received, or an Eager sent
    uint64_t slot;
    uint64_t bytes;
  };
  struct Asked {
    uint64_t slot;
    size_t count;
  };

  // link.cc: what is matched
  Status on_control(const Frame& frame);
  Status on_credit(const Frame& frame);
  Status on_ask(uint64_t slot);
  void on_unask(uint64_t slot) noexcept;
  Status on_offer(uint64_t slot);
  Status on_leave(const Frame& frame);
  Status begin_body(const Frame& frame);
  Status begin_eager(const Frame& frame);
  Status begin_write(const Frame& frame);
  Status finish_body();
  Status settle_kept();
  bool answer_ask(uint64_t slot);
  Receive* exposed(uint64_t slot) noexcept;
  void deliver_into(const Receive& receive) noexcept;
  void push_control(const Frame& frame);
  Status push_answer(const Frame& frame);
  void push_payload(Opcode opcode, const Send& send, uint64_t offset);

  // link_io.cc: what is moved
  void advance(size_t bytes) noexcept;
  Status parse();
  Status on_end(int errno_value);
  Status lost(std::string_view how) const;

  AnySource& any_;
  const int peer_;
  UniqueFd fd_;

  // Sending.
  std::deque<Outgoing> queue_;
  std::vector<Send> waiting_;     // for a Credit, in order
  std::vector<Promise> credits_;  // for sends to come, in order
  std::vector<Promise> debts_;    // eager sends whose Credit has not come, in order
  std::vector<Asked> asked_;
  size_t window_used_ = 0;
  bool full_ = false;    // the last write found the socket full
  bool broken_ = false;  // nothing can be written any more

  // Receiving.
  std::vector<Receive> posted_;
  std::vector<Receive> exposed_;
  std::vector<Kept> kept_;
  Kept incoming_;  // an eager message that nobody waited for when it began to come
  size_t kept_charge_ = 0;
  bool to_keep_ = false;
  bool in_body_ = false;
  Sink* body_sink_ = nullptr;
  uint8_t* body_ = nullptr;
  size_t body_left_ = 0;
  std::unique_ptr<uint8_t[]> buffer_;
  size_t begin_ = 0, end_ = 0;
  bool stalled_ = false;  // at a write to a buffer that is not registered yet
  bool muted_ = false;    // hung up while stalled: nothing more to poll for
  bool ended_ = false;
  bool left_ = false;
  int named_culprit_ = -1;
};

}  // namespace farandole::gloo_transport

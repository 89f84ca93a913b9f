#pragma once
// One end of the connection between launcher and outpost: frames over a pair of descriptors.

#include <string>

#include "controller/launch/outpost_frames.h"
#include "core/base/status.h"
#include "core/base/unique_fd.h"

namespace farandole::launch {

// Neither sending nor receiving blocks. What the descriptor does not take at once waits here; what
// is sent is bounded by the windows of outpost_frames.h and a few messages per rank.
class OutpostLink {
 public:
  OutpostLink() : reader_(0, true) {}
  // `most` and `greeted` as FrameReader takes them. Fails: System.
  static Result<OutpostLink> over(UniqueFd in, UniqueFd out, size_t most, bool greeted);

  bool is_open() const noexcept { return static_cast<bool>(in_); }
  // False once something could not be sent, or after close_out().
  bool is_heard() const noexcept { return static_cast<bool>(out_); }
  int in_fd() const noexcept { return in_.get(); }
  int out_fd() const noexcept { return out_.get(); }
  bool wants_write() const noexcept { return out_ && !outbox_.empty(); }

  void send(FrameKind kind, net::ByteSpan body = {});
  void send_text(std::string_view text);
  void flush();
  enum class Read { Some, NothingYet, End };
  // Takes in what is there, at most some 100 KiB. End: nothing more can come.
  Read read_some();
  FrameReader::Next next(Frame& frame) { return reader_.next(frame); }
  std::string_view noise() const { return reader_.noise(); }
  // The other end hears nothing more.
  void close_out() noexcept;
  void close() noexcept;

 private:
  OutpostLink(UniqueFd in, UniqueFd out, size_t most, bool greeted)
      : in_(std::move(in)), out_(std::move(out)), reader_(most, greeted) {}

  UniqueFd in_;
  UniqueFd out_;
  FrameReader reader_;
  std::string outbox_;
};

}  // namespace farandole::launch

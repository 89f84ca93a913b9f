#pragma once
// The standard input of rank 0, where that runs on another host than the launcher.

#include <string>

#include "controller/launch/outpost_frames.h"
#include "core/base/status.h"
#include "core/base/unique_fd.h"

namespace farandole::launch {

class OutpostInput {
 public:
  // Makes this process's descriptor 0, which rank 0 inherits, one end of a pipe. Fails: System.
  Status open();
  // Keeps at most kInputWindow; what is beyond that came unasked and is dropped.
  void add(net::ByteSpan bytes);
  void end() { ended_ = true; }
  // Writes what the rank takes at once; how much that was. A rank that has closed its input takes
  // all of it, unread.
  size_t pass();
  // Who is to be waited for until it takes more; -1 for nobody.
  int waiting_fd() const noexcept { return waiting_.empty() ? -1 : fd_.get(); }
  void drop() noexcept;

 private:
  UniqueFd fd_;
  std::string waiting_;
  bool ended_ = false;
};

}  // namespace farandole::launch

#pragma once
// The launcher's side of one other host: the ssh that reaches it, and the outpost behind that.

#include <sys/types.h>

#include <deque>
#include <string>
#include <string_view>

#include "controller/launch/outpost_link.h"

namespace farandole::launch {

// Output that came and could not be shown yet, in its order; at most kOutputWindow of it.
struct PendingOutput {
  int rank = 0;
  uint8_t stream = 0;
  bool ends = false;  // of the stream
  std::string bytes;
};

class RemoteHost {
 public:
  std::string name;  // as in -H
  pid_t ssh = -1;    // -1: it has ended
  OutpostLink link;
  UniqueFd errors;       // ssh's stderr
  UniqueFd exec_result;  // whether ssh could be executed
  HostFacts facts;
  std::vector<std::string> bound;  // processors of its ranks, of the first some
  std::deque<PendingOutput> output;
  size_t input_window = kInputWindow;
  bool done = false;  // nothing of the job is left there, or nobody can tell
  int agent_status = 0;
  std::string refusal;  // why nothing was started there after all
  int index = 0;        // among the hosts of the job
  int first_rank = 0;
  int ranks = 0;

  bool has_rank(uint32_t rank) const {
    return rank >= static_cast<uint32_t>(first_rank) &&
           rank - static_cast<uint32_t>(first_rank) < static_cast<uint32_t>(ranks);
  }

  // Takes in what ssh has to say. False once that is all.
  bool read_errors();
  std::string_view error_text() const { return error_text_; }
  // Tells the outpost that so many bytes of output were passed on, now and then.
  void taken(size_t bytes);

 private:
  std::string error_text_;  // the last of it
  size_t taken_ = 0;
};

}  // namespace farandole::launch

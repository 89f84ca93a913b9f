#pragma once
// The ranks' output on the launcher's own: whole lines, each behind "[rank] ", in the order of
// their arrival, and rank 0's unfinished line live on a terminal (prompts, progress bars).

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/launch/line_assembler.h"
#include "controller/launch/output_queue.h"

namespace farandole::launch {

enum class Stream : int { Out = 0, Err = 1 };

struct OutputTarget {
  int fd = -1;
  bool terminal = false;
  bool colour = false;
  bool broken = false;  // a write failed: what goes there is dropped
};

class Output {
 public:
  struct Targets {
    OutputTarget out;
    OutputTarget err;
    bool same_file = false;                   // then the order between the two is kept as well
    std::function<std::string()> stamp = {};  // what stands before each prefix; none: nothing
  };
  Output(const Targets& targets, int ranks);

  void feed(int rank, Stream stream, std::string_view bytes);
  // The rank's stream has ended: passes on an unfinished line.
  void finish(int rank, Stream stream);
  // Text of the launcher itself, whole lines, to stderr.
  void say(std::string_view text);

  // While this holds, nothing more should be fed for `stream`.
  bool full(Stream stream) const { return queue(stream).full(); }
  bool empty() const { return queues_[0].empty() && queues_[1].empty(); }
  // Descriptors that have bytes waiting; -1 for none.
  int waiting_fd(Stream stream) const;
  // Writes what can be written. False once the reader of the job's output is gone.
  bool write_some();
  void drop_all() noexcept;

  const Tail& tail(int rank) const { return ranks_[static_cast<size_t>(rank)].tail; }

 private:
  struct RankStreams {
    LineAssembler lines[2];
    Tail tail;
  };
  OutputTarget& target(Stream stream) {
    return stream == Stream::Out ? targets_.out : targets_.err;
  }
  OutputQueue& queue(Stream stream) { return queues_[queue_index(stream)]; }
  const OutputQueue& queue(Stream stream) const { return queues_[queue_index(stream)]; }
  size_t queue_index(Stream stream) const {
    return targets_.same_file ? 0 : static_cast<size_t>(stream);
  }
  std::string prefix(int rank, Stream stream);
  void add_line(int rank, Stream stream, std::string_view line);
  void add(Stream stream, std::string_view bytes);
  void hide_live();
  void show_live(Stream stream);
  bool on_failed_write(int fd, OutputQueue::Write result, int why);

  Targets targets_;
  std::vector<RankStreams> ranks_;
  OutputQueue queues_[2];
  std::string live_;  // what stands on the terminal without a line end
  Stream live_stream_ = Stream::Out;
};

// Head of `text` that fits `columns` of a terminal: escape sequences take none, a UTF-8 sequence
// one.
std::string_view fit_columns(std::string_view text, size_t columns);

// "2026-11-22 01:02:03.456": the time of day here, as the log writes it.
std::string time_stamp();

// Looks at 1 and 2. `colour`: forced on or off; otherwise by terminal, TERM and NO_COLOR.
enum class ColourChoice { Auto, Always, Never };
Output::Targets standard_targets(ColourChoice colour, bool colour_welcome);

}  // namespace farandole::launch

#pragma once
// TimelineText: records as events of the Chrome trace format, one line each, with the names that
// Horovod gives to phases. A track for each tensor; on it NEGOTIATE_ALLREDUCE until all ranks have
// it, then ALLREDUCE, and within that QUEUE and what its bucket goes through.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/timeline_names.h"
#include "core/timeline_ring.h"

namespace farandole {

// Where a recording is made, and how.
struct TimelinePlace {
  int rank = 0;
  int size = 1;
  std::string host;
  std::string clock;  // the same where times are of the same clock
};

// Whatever records are missing, each begin that is written gets its end, within that of its
// parent. Thread: one at a time.
class TimelineText {
 public:
  TimelineText(TimelinePlace place, bool mark_cycles, const TimelineNames& names);

  // What stands before all events: whose they are, and since when.
  void begin(int64_t when);
  void add(const TimelineRecord& record);
  // So many records were lost since the last call.
  void lost(uint64_t records, int64_t when);
  // Ends what has begun, and sums up.
  void end(int64_t when, uint64_t unnamed);

  // Whole lines, each with the comma that separates it from the one before. Empties it.
  std::string& text() noexcept { return text_; }

 private:
  struct Track {
    enum class At : uint8_t { Nothing, Negotiating, Doing };
    At at = At::Nothing;
    bool in_phase = false;
    bool named = false;
    uint8_t dtype = 0;
    CollectiveKind kind = CollectiveKind::Allreduce;
    uint64_t bytes = 0;
  };

  Track& track(uint32_t number);
  void submitted(const TimelineRecord& record);
  void rank_ready(const TimelineRecord& record);
  void agreed(const TimelineRecord& record);
  void phase(const TimelineRecord& record);
  void settled(const TimelineRecord& record);
  const std::string& by(uint32_t label);
  void close(uint32_t number, Track& track, int64_t when, const char* outcome);

  void head(char phase, int64_t when, uint32_t track);
  void open(int64_t when, uint32_t track, std::string_view prefix, std::string_view name);
  void shut(int64_t when, uint32_t track, const char* outcome = nullptr);
  void mark(int64_t when, std::string_view name, std::string_view args);
  void metadata(std::string_view name, uint32_t track, std::string_view args);

  const TimelinePlace place_;
  const bool mark_cycles_;
  const TimelineNames& names_;
  const std::string pid_;
  std::string text_;
  std::vector<Track> tracks_;
  std::vector<std::string> upper_;  // names of kinds as Horovod writes them
  std::map<uint32_t, std::string> labels_;
  uint64_t events_ = 0;
  uint64_t lost_ = 0;
};

}  // namespace farandole

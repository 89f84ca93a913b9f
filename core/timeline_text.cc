#include "core/timeline_text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>

#include "core/base/format.h"

namespace farandole {
namespace {

constexpr uint32_t kFirstTrack = 1;  // 0 is the rank's own

std::string in_capitals(std::string_view name) {
  std::string text(name);
  std::ranges::transform(
      text, text.begin(), [](unsigned char ch) { return static_cast<char>(std::toupper(ch)); });
  return text;
}

// As it stands in JSON.
std::string quoted(std::string_view name) {
  std::string text = "\"";
  for (const char ch : printable(name, name.size() * 4)) {
    if (ch == '"' || ch == '\\')
      text += '\\';
    text += ch;
  }
  return text += '"';
}

void append_number(std::string& to, uint64_t number) {
  std::array<char, 20> digits{};
  const auto [end, code] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  to.append(digits.data(), end);
}

// Microseconds with three decimals.
void append_time(std::string& to, int64_t nanoseconds) {
  const auto when = static_cast<uint64_t>(std::max<int64_t>(nanoseconds, 0));
  append_number(to, when / 1000);
  const uint64_t rest = when % 1000;
  to += '.';
  to += static_cast<char>('0' + rest / 100);
  to += static_cast<char>('0' + rest / 10 % 10);
  to += static_cast<char>('0' + rest % 10);
}

}  // namespace

TimelineText::TimelineText(TimelinePlace place, bool mark_cycles, const TimelineNames& names)
    : place_(std::move(place)),
      mark_cycles_(mark_cycles),
      names_(names),
      pid_(fmt::format(",\"pid\":{},\"tid\":", place_.rank)) {
  for (int kind = 0; kind < kKindCount; ++kind)
    upper_.push_back(in_capitals(name_of(static_cast<CollectiveKind>(kind))));
}

void TimelineText::head(char phase, int64_t when, uint32_t track) {
  text_ += ",\n{\"ph\":\"";
  text_ += phase;
  text_ += "\",\"ts\":";
  append_time(text_, when);
  text_ += pid_;
  append_number(text_, track);
  ++events_;
}

void TimelineText::open(
    int64_t when, uint32_t track, std::string_view prefix, std::string_view name) {
  head('B', when, track);
  text_ += ",\"name\":\"";
  text_ += prefix;
  text_ += name;
  text_ += "\"}";
}

void TimelineText::shut(int64_t when, uint32_t track, const char* outcome) {
  head('E', when, track);
  if (outcome != nullptr) {
    text_ += ",\"args\":{\"outcome\":\"";
    text_ += outcome;
    text_ += "\"}";
  }
  text_ += '}';
}

void TimelineText::mark(int64_t when, std::string_view name, std::string_view args) {
  head('i', when, 0);
  text_ += fmt::format(",\"s\":\"p\",\"name\":{},\"args\":{{{}}}}}", quoted(name), args);
}

void TimelineText::metadata(std::string_view name, uint32_t track, std::string_view args) {
  text_ += fmt::format(
      ",\n{{\"ph\":\"M\",\"name\":\"{}\"{}{},\"args\":{{{}}}}}", name, pid_, track, args);
}

void TimelineText::begin(int64_t when) {
  metadata(
      "process_name",
      0,
      fmt::format("\"name\":{}", quoted(fmt::format("rank {} ({})", place_.rank, place_.host))));
  metadata("process_sort_index", 0, fmt::format("\"sort_index\":{}", place_.rank));
  metadata("thread_name", 0, "\"name\":\"rounds\"");
  metadata(
      "farandole_timeline",
      0,
      fmt::format(
          "\"rank\":{},\"size\":{},\"host\":{},\"clock\":{},\"mark_cycles\":{},\"began_us\":{}",
          place_.rank,
          place_.size,
          quoted(place_.host),
          quoted(place_.clock),
          mark_cycles_,
          when / 1000));
}

TimelineText::Track& TimelineText::track(uint32_t number) {
  if (number >= tracks_.size())
    tracks_.resize(size_t{number} + 1);
  Track& found = tracks_[number];
  if (!std::exchange(found.named, true)) {
    auto [process_set, name] = names_.at(number);
    if (name.empty())
      name = "join";
    if (process_set != 0)
      name += fmt::format(" (set {})", process_set);
    metadata("thread_name", number + kFirstTrack, fmt::format("\"name\":{}", quoted(name)));
  }
  return found;
}

void TimelineText::add(const TimelineRecord& record) {
  switch (record.kind) {
    case EventKind::Submitted:
      return submitted(record);
    case EventKind::Agreed:
      return agreed(record);
    case EventKind::Phase:
      return phase(record);
    case EventKind::Settled:
      return settled(record);
    case EventKind::Round:
      if (mark_cycles_)
        mark(record.when, "CYCLE_START", fmt::format("\"round\":{}", record.value));
      return;
    case EventKind::RankReady:
      return rank_ready(record);
    case EventKind::PeerFailed:
      return mark(
          record.when,
          "RANK_GONE",
          fmt::format(
              "{}\"code\":\"{}\",\"cause\":{}",
              static_cast<int64_t>(record.value) < 0 ? ""
                                                     : fmt::format("\"rank\":{},", record.value),
              code_name(static_cast<Code>(record.detail)),
              quoted(record.label == TimelineNames::kNone ? "" : names_.at(record.label).second)));
    case EventKind::Announced:
    case EventKind::Rejected:
    case EventKind::BucketStart:
    case EventKind::BucketEnd:
      return;
  }
}

void TimelineText::submitted(const TimelineRecord& record) {
  Track& to = track(record.track);
  close(record.track, to, record.when, "unknown");
  to.at = Track::At::Negotiating;
  to.kind = static_cast<CollectiveKind>(record.collective);
  to.dtype = record.detail;
  to.bytes = record.value;
  open(record.when, record.track + kFirstTrack, "NEGOTIATE_", upper_[record.collective]);
}

// On the tensor's track, whether this rank has submitted it or not: that others wait is to be seen.
void TimelineText::rank_ready(const TimelineRecord& record) {
  track(record.track);
  head('i', record.when, record.track + kFirstTrack);
  text_ += ",\"s\":\"t\",\"name\":\"RANK_READY\",\"args\":{\"rank\":";
  append_number(text_, record.value);
  text_ += "}}";
}

void TimelineText::agreed(const TimelineRecord& record) {
  Track& to = track(record.track);
  if (to.at != Track::At::Negotiating)
    return;
  const uint32_t tid = record.track + kFirstTrack;
  head('E', record.when, tid);
  text_ += ",\"args\":{\"round\":";
  append_number(text_, record.value);
  text_ += "}}";
  head('B', record.when, tid);
  text_ += ",\"name\":\"";
  text_ += upper_[static_cast<size_t>(to.kind)];
  text_ += "\",\"args\":{\"dtype\":\"";
  text_ += name_of(static_cast<DType>(to.dtype));
  text_ += "\",\"bytes\":";
  append_number(text_, to.bytes);
  text_ += "}}";
  open(record.when, tid, "", "QUEUE");
  to.at = Track::At::Doing;
  to.in_phase = true;
}

void TimelineText::phase(const TimelineRecord& record) {
  Track& to = track(record.track);
  if (to.at != Track::At::Doing)
    return;
  const uint32_t tid = record.track + kFirstTrack;
  if (to.in_phase)
    shut(record.when, tid);
  to.in_phase = true;
  switch (static_cast<Phase>(record.detail)) {
    case Phase::Forming:
      return open(record.when, tid, "", "INIT_COMMUNICATOR");
    case Phase::Packing:
      return open(record.when, tid, "", "MEMCPY_IN_FUSION_BUFFER");
    case Phase::Moving:
      return open(record.when, tid, by(record.label), upper_[static_cast<size_t>(to.kind)]);
    case Phase::Unpacking:
      return open(record.when, tid, "", "MEMCPY_OUT_FUSION_BUFFER");
    case Phase::Ended:
      to.in_phase = false;
  }
}

// "SHM_", of the communicator "shm".
const std::string& TimelineText::by(uint32_t label) {
  std::string& text = labels_[label];
  if (text.empty() && label != TimelineNames::kNone)
    text = in_capitals(names_.at(label).second) + "_";
  return text;
}

void TimelineText::settled(const TimelineRecord& record) {
  const auto code = static_cast<Code>(record.detail);
  close(
      record.track, track(record.track), record.when, code == Code::Ok ? nullptr : code_name(code));
}

void TimelineText::close(uint32_t number, Track& track, int64_t when, const char* outcome) {
  if (track.at == Track::At::Nothing)
    return;
  if (std::exchange(track.in_phase, false))
    shut(when, number + kFirstTrack);
  shut(when, number + kFirstTrack, outcome);
  track.at = Track::At::Nothing;
}

void TimelineText::lost(uint64_t records, int64_t when) {
  lost_ += records;
  mark(when, fmt::format("{} RECORDS LOST", records), "\"why\":\"written more slowly than made\"");
}

void TimelineText::end(int64_t when, uint64_t unnamed) {
  for (uint32_t number = 0; number < tracks_.size(); ++number)
    close(number, tracks_[number], when, "unfinished");
  metadata(
      "farandole_timeline_end",
      0,
      fmt::format("\"events\":{},\"lost\":{},\"unnamed\":{}", events_, lost_, unnamed));
}

}  // namespace farandole

#include "controller/launch/line_assembler.h"

#include <algorithm>

namespace farandole::launch {

namespace {

bool begins_traceback(std::string_view line) {
  return line.find("Traceback (most recent call last)") != std::string_view::npos;
}

}  // namespace

void LineAssembler::feed(std::string_view bytes, const Sink& sink) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    append(bytes.substr(0, end), sink);
    if (end == std::string_view::npos)
      return;
    sink(line_);
    line_.clear();
    bytes.remove_prefix(end + 1);
  }
}

void LineAssembler::append(std::string_view bytes, const Sink& sink) {
  while (!bytes.empty()) {
    const size_t room = kMaxLineBytes - line_.size();
    const size_t taken = std::min(room, bytes.size());
    const size_t before = line_.size();
    line_ += bytes.substr(0, taken);
    bytes.remove_prefix(taken);
    apply_overwrite(before);
    if (line_.size() == kMaxLineBytes && !bytes.empty()) {
      sink(line_);
      line_.clear();
    }
  }
}

// Drops what stands before the last '\r' that is not the line's last byte: whether that one is
// part of "\r\n" is not known yet. Of what was there before, only the last byte can be one: looking
// at all of it would take a second for a long line that comes byte by byte.
void LineAssembler::apply_overwrite(size_t before) {
  if (!overwrite_ || line_.size() < 2)
    return;
  const size_t begin = before > 0 ? before - 1 : 0;
  const size_t last = std::string_view(line_).substr(begin, line_.size() - 1 - begin).rfind('\r');
  if (last != std::string_view::npos)
    line_.erase(0, begin + last + 1);
}

void LineAssembler::finish(const Sink& sink) {
  if (!line_.empty())
    sink(line_);
  line_.clear();
}

std::string_view LineAssembler::partial() const noexcept {
  std::string_view text = line_;
  if (text.ends_with('\r'))
    text.remove_suffix(1);
  return text;
}

void Tail::add(std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos)
    return;
  if (line.ends_with('\r'))
    line.remove_suffix(1);
  lines_.emplace_back(line.substr(0, kLineBytes));
  // Down to what is always kept, or to where a traceback begins that is no longer than it may be.
  while (lines_.size() > kLines &&
         (lines_.size() > kTracebackLines || !begins_traceback(lines_.front())))
    lines_.pop_front();
}

}  // namespace farandole::launch

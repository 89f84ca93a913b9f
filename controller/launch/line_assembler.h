#pragma once
// Makes lines of the bytes of one stream. Pure.

#include <deque>
#include <functional>
#include <string>
#include <string_view>

namespace farandole::launch {

// Bounds what one stream may hold back; far above what people print, below what hurts.
inline constexpr size_t kMaxLineBytes = 1 << 20;

// A line ends at '\n' and is passed on without it, byte for byte; one that grows over kMaxLineBytes
// is passed on in pieces of that size.
class LineAssembler {
 public:
  using Sink = std::function<void(std::string_view line)>;
  // `overwrite`: as on a terminal, '\r' discards what the line held so far (a progress bar), unless
  // '\n' follows at once.
  explicit LineAssembler(bool overwrite) : overwrite_(overwrite) {}

  void feed(std::string_view bytes, const Sink& sink);
  // Passes on what has no line end yet.
  void finish(const Sink& sink);
  // The line so far, without a carriage return at its end.
  std::string_view partial() const noexcept;

 private:
  void append(std::string_view bytes, const Sink& sink);
  void apply_overwrite(size_t before);

  bool overwrite_;
  std::string line_;
};

// The last few lines that a rank wrote, for the report of its end: more of them where a traceback
// of Python begins among them, whose first frames say where it was.
class Tail {
 public:
  void add(std::string_view line);
  const std::deque<std::string>& lines() const noexcept { return lines_; }

 private:
  static constexpr size_t kLines = 10;
  static constexpr size_t kTracebackLines = 40;
  static constexpr size_t kLineBytes = 512;
  std::deque<std::string> lines_;
};

}  // namespace farandole::launch

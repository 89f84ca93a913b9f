#include "controller/launch/output.h"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>

#include "core/base/format.h"

namespace farandole::launch {
namespace {

constexpr std::array<int, 6> kColours{36, 33, 32, 35, 34, 31};
constexpr size_t kDefaultColumns = 80;
constexpr std::string_view kClearLine = "\r\x1b[K";

size_t columns_of(int fd) {
  winsize size{};
  const bool known = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  return known ? size.ws_col : kDefaultColumns;
}

// Length of the escape sequence at the head of `text` (ESC [ … letter, or ESC and one more).
size_t escape_length(std::string_view text) {
  if (text.size() < 2 || text[1] != '[')
    return text.size() < 2 ? text.size() : 2;
  size_t end = 2;
  while (end < text.size() && (text[end] < 0x40 || text[end] > 0x7E)) ++end;
  return end < text.size() ? end + 1 : text.size();
}

}  // namespace

std::string_view fit_columns(std::string_view text, size_t columns) {
  size_t at = 0;
  size_t used = 0;
  while (at < text.size()) {
    if (text[at] == '\x1b') {
      at += escape_length(text.substr(at));
      continue;
    }
    const bool continues = (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
    if (!continues && used == columns)
      break;
    used += continues ? 0 : 1;
    ++at;
  }
  return text.substr(0, at);
}

std::string time_stamp() {
  using namespace std::chrono;
  const auto now = system_clock::now().time_since_epoch();
  const std::time_t whole = duration_cast<seconds>(now).count();
  std::tm local{};
  localtime_r(&whole, &local);
  std::array<char, 32> text{};
  const size_t length = strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local);
  const auto rest = duration_cast<milliseconds>(now).count() % 1000;
  return fmt::format("{}.{:03}", std::string_view(text.data(), length), rest);
}

Output::Targets standard_targets(ColourChoice colour, bool colour_welcome) {
  Output::Targets targets;
  targets.out.fd = STDOUT_FILENO;
  targets.err.fd = STDERR_FILENO;
  for (OutputTarget* target : {&targets.out, &targets.err}) {
    target->terminal = isatty(target->fd) == 1;
    target->colour = colour == ColourChoice::Always ||
                     (colour == ColourChoice::Auto && target->terminal && colour_welcome);
  }
  struct stat out {};
  struct stat err {};
  targets.same_file = fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &err) == 0 &&
                      out.st_dev == err.st_dev && out.st_ino == err.st_ino;
  return targets;
}

Output::Output(const Targets& targets, int ranks) : targets_(targets) {
  for (int rank = 0; rank < ranks; ++rank)
    ranks_.push_back(
        {{LineAssembler(targets.out.terminal), LineAssembler(targets.err.terminal)}, {}});
}

std::string Output::prefix(int rank, Stream stream) {
  if (!target(stream).colour)
    return fmt::format("[{}] ", rank);
  return fmt::format(
      "\x1b[{}m[{}]\x1b[0m ", kColours[static_cast<size_t>(rank) % kColours.size()], rank);
}

void Output::feed(int rank, Stream stream, std::string_view bytes) {
  auto& lines = ranks_[static_cast<size_t>(rank)].lines[static_cast<int>(stream)];
  lines.feed(bytes, [&](std::string_view line) { add_line(rank, stream, line); });
  if (rank == 0 && target(stream).terminal)
    show_live(stream);
}

void Output::finish(int rank, Stream stream) {
  auto& lines = ranks_[static_cast<size_t>(rank)].lines[static_cast<int>(stream)];
  lines.finish([&](std::string_view line) { add_line(rank, stream, line); });
}

void Output::say(std::string_view text) {
  hide_live();
  add(Stream::Err, text);
}

void Output::add_line(int rank, Stream stream, std::string_view line) {
  ranks_[static_cast<size_t>(rank)].tail.add(line);
  if (target(stream).terminal)
    hide_live();
  if (targets_.stamp)
    add(stream, targets_.stamp() + " ");
  add(stream, prefix(rank, stream));
  add(stream, line);
  add(stream, "\n");
}

void Output::add(Stream stream, std::string_view bytes) {
  if (!target(stream).broken)
    queue(stream).add(target(stream).fd, bytes);
}

void Output::hide_live() {
  if (!live_.empty())
    add(live_stream_, kClearLine);
  live_.clear();
}

void Output::show_live(Stream stream) {
  const auto partial = ranks_[0].lines[static_cast<int>(stream)].partial();
  const std::string mark = prefix(0, stream);
  const size_t columns = columns_of(target(stream).fd);
  const size_t room = columns > 8 ? columns - 8 : 1;  // the prefix, and never the last column
  std::string shown = partial.empty() ? "" : mark + std::string(fit_columns(partial, room));
  if (shown == live_)
    return;
  hide_live();
  add(stream, shown);
  live_ = std::move(shown);
  live_stream_ = stream;
}

int Output::waiting_fd(Stream stream) const {
  return targets_.same_file && stream == Stream::Err ? -1 : queue(stream).next_fd();
}

bool Output::write_some() {
  bool reader = true;
  for (OutputQueue& queue : queues_) {
    while (!queue.empty()) {
      const int fd = queue.next_fd();
      const OutputQueue::Write result = queue.write_some();
      if (result == OutputQueue::Write::Done || result == OutputQueue::Write::Wait)
        break;
      reader = on_failed_write(fd, result, errno) && reader;
    }
  }
  return reader;
}

bool Output::on_failed_write(int fd, OutputQueue::Write result, int why) {
  const bool is_out = fd == targets_.out.fd;
  (is_out ? targets_.out : targets_.err).broken = true;
  if (result == OutputQueue::Write::Closed)
    return false;
  // A full disk must not end hours of work: the output is lost, once said, and the job goes on.
  if (is_out)
    say(fmt::format(
        "farandolerun: warning: standard output is lost from here on: {}\n",
        system_error("write", why).message()));
  return true;
}

void Output::drop_all() noexcept {
  queues_[0].drop_all();
  queues_[1].drop_all();
}

}  // namespace farandole::launch

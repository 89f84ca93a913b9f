#include "controller/launch/hostfile.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/base/format.h"

namespace farandole::launch {
namespace {

constexpr std::string_view kBlank = " \t\r\v\f";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  // before the text of some editors

// One line that names a host.
struct Entry {
  std::string host;
  std::optional<int> slots;  // as written
  std::optional<int> most;   // max_slots
};

std::string_view next_word(std::string_view& line) {
  const size_t begin = std::min(line.find_first_not_of(kBlank), line.size());
  line.remove_prefix(begin);
  const size_t end = std::min(line.find_first_of(kBlank), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

// "slots=4", "slots = 4" and "slots= 4" alike: key and value, or the word alone as the key.
std::pair<std::string_view, std::string_view> next_setting(std::string_view& line) {
  const std::string_view word = next_word(line);
  const size_t equals = word.find('=');
  if (equals != std::string_view::npos && equals + 1 < word.size())
    return {word.substr(0, equals), word.substr(equals + 1)};
  if (equals != std::string_view::npos)
    return {word.substr(0, equals), next_word(line)};
  std::string_view rest = line;
  const std::string_view next = next_word(rest);
  if (!next.starts_with('='))
    return {word, {}};
  line = rest;
  return {word, next.size() > 1 ? next.substr(1) : next_word(line)};
}

Status read_number(
    std::string_view key, std::string_view value, const std::string& host, std::optional<int>& to) {
  if (to)
    return error(Code::InvalidArgument, "{} is given twice for {}", printable(key, 80), host);
  to = parse_slots(value);
  if (to)
    return Status::ok();
  return error(
      Code::InvalidArgument,
      "{}=\"{}\" is not a number of slots for {}; a whole number from 1 to {} is wanted",
      printable(key, 80),
      printable(value, 80),
      host,
      kMaxRanks);
}

Status read_settings(std::string_view line, Entry& entry) {
  while (line.find_first_not_of(kBlank) != std::string_view::npos) {
    const auto [key, value] = next_setting(line);
    if (key == "slots" || key == "cpu" || key == "count") {
      FARANDOLE_RETURN_IF_ERROR(read_number(key, value, entry.host, entry.slots));
    } else if (key == "max_slots" || key == "max-slots") {
      FARANDOLE_RETURN_IF_ERROR(read_number(key, value, entry.host, entry.most));
    } else {
      return error(
          Code::InvalidArgument,
          "\"{}\" means nothing behind a host; slots=N is wanted, as in {} slots=4",
          printable(key, 80),
          entry.host);
    }
  }
  if (entry.most && entry.slots.value_or(1) > *entry.most)
    return error(
        Code::InvalidArgument,
        "{} has {} slots, more than its max_slots={}",
        entry.host,
        *entry.slots,
        *entry.most);
  return Status::ok();
}

Result<Entry> read_entry(std::string_view line) {
  Entry entry;
  std::string_view name = next_word(line);
  if (name.find('@') != std::string_view::npos)
    return no_host_name(name);
  const std::string_view word = name;
  const size_t colon = name.rfind(':');
  const bool joined = colon != std::string_view::npos && !name.ends_with(']');
  const std::string_view number = joined ? name.substr(colon + 1) : std::string_view();
  name = name.substr(0, joined ? colon : name.size());
  if (!is_host_name(name))
    return no_host_name(unbracketed(name) ? word : name);
  entry.host = std::string(name);
  if (joined)
    FARANDOLE_RETURN_IF_ERROR(read_number("slots", number, entry.host, entry.slots));
  FARANDOLE_RETURN_IF_ERROR(read_settings(line, entry));
  return entry;
}

// The hosts so far, in the order in which they were first named.
class HostList {
 public:
  Status add(const Entry& entry, int line) {
    const auto [at, is_new] = places_.try_emplace(entry.host, Place{hosts_.size(), line});
    if (is_new) {
      hosts_.push_back({entry.host, entry.slots.value_or(1)});
      at->second.counted = entry.slots.has_value();
      return Status::ok();
    }
    Host& host = hosts_[at->second.index];
    if (entry.slots || at->second.counted)
      return error(
          Code::InvalidArgument,
          "{} was named in line {} already; name it once, with the sum of its slots",
          entry.host,
          at->second.line);
    if (host.slots == kMaxRanks)
      return error(Code::InvalidArgument, "{} has more than {} slots", entry.host, kMaxRanks);
    ++host.slots;
    return Status::ok();
  }
  std::vector<Host> take() { return std::move(hosts_); }

 private:
  struct Place {
    size_t index;
    int line;
    bool counted = false;  // its slots stand beside it
  };
  std::vector<Host> hosts_;
  std::unordered_map<std::string, Place> places_;
};

}  // namespace

Result<std::vector<Host>> parse_hostfile(std::string_view text, std::string_view name) {
  HostList hosts;
  if (text.starts_with(kByteOrderMark))
    text.remove_prefix(kByteOrderMark.size());
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find('#'));
    if (line.find_first_not_of(kBlank) == std::string_view::npos)
      continue;
    const auto entry = read_entry(line);
    const Status status = entry ? hosts.add(entry.value(), number) : entry.status();
    if (!status)
      return error(
          Code::InvalidArgument, "{}:{}: {}", printable(name, 256), number, status.message());
  }
  auto found = hosts.take();
  if (found.empty())
    return error(
        Code::InvalidArgument,
        "{} names no host; lines like \"localhost slots=4\" are wanted",
        printable(name, 256));
  return found;
}

}  // namespace farandole::launch

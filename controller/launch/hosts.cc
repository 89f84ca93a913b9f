#include "controller/launch/hosts.h"

#include <algorithm>
#include <charconv>

#include "core/base/format.h"

namespace farandole::launch {
namespace {

constexpr size_t kMaxHostName = 253;

bool is_letter_or_digit(char ch) noexcept {
  return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9');
}

bool is_ipv6_in_brackets(std::string_view name) noexcept {
  if (name.size() < 4 || name.size() > 41 || name.front() != '[' || name.back() != ']')
    return false;
  name = name.substr(1, name.size() - 2);
  return name.find(':') != std::string_view::npos &&
         std::all_of(name.begin(), name.end(), [](char ch) {
           return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'f') ||
                  (ch >= 'A' && ch <= 'F') || ch == ':' || ch == '.';
         });
}

std::string_view without_blanks(std::string_view text) noexcept {
  const size_t begin = text.find_first_not_of(" \t");
  return begin == std::string_view::npos
             ? std::string_view()
             : text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

// Names of hosts are the same in capitals and in small letters.
bool same_name(std::string_view one, std::string_view other) noexcept {
  const auto small = [](char ch) { return ch >= 'A' && ch <= 'Z' ? ch - 'A' + 'a' : ch; };
  return std::equal(one.begin(), one.end(), other.begin(), other.end(), [&](char left, char right) {
    return small(left) == small(right);
  });
}

Result<Host> parse_host(std::string_view entry) {
  const size_t colon = entry.rfind(':');
  const bool has_slots = colon != std::string_view::npos && !entry.ends_with(']');
  if (!has_slots)
    return error(
        Code::InvalidArgument,
        "-H: \"{}\" gives no number of slots; host:slots is wanted, as in localhost:4",
        printable(entry, 80));
  const std::string_view name = entry.substr(0, colon);
  const std::string_view number = entry.substr(colon + 1);
  if (!is_host_name(name))
    return error(
        Code::InvalidArgument, "-H: {}", no_host_name(unbracketed(name) ? entry : name).message());
  const auto slots = parse_slots(number);
  if (!slots)
    return error(
        Code::InvalidArgument,
        "-H: \"{}\" is not a number of slots for {}; a whole number from 1 to {} is wanted",
        printable(number, 80),
        name,
        kMaxRanks);
  return Host{std::string(name), *slots};
}

}  // namespace

bool is_host_name(std::string_view name) {
  if (is_ipv6_in_brackets(name))
    return true;
  return !name.empty() && name.size() <= kMaxHostName && is_letter_or_digit(name.front()) &&
         std::all_of(name.begin(), name.end(), [](char ch) {
           return is_letter_or_digit(ch) || ch == '.' || ch == '_' || ch == '-';
         });
}

bool unbracketed(std::string_view name) noexcept {
  return name.find(':') != std::string_view::npos && name.find('[') == std::string_view::npos;
}

Status no_host_name(std::string_view name) {
  if (name.find('@') != std::string_view::npos)
    return error(
        Code::InvalidArgument,
        "\"{}\" names a user; give the host alone, and the user in ~/.ssh/config (User)",
        printable(name, 80));
  return error(
      Code::InvalidArgument,
      "\"{}\" is not a host name; letters, digits, '.', '_' and '-' are allowed, beginning "
      "with a letter or digit, or an IPv6 address in brackets",
      printable(name, 80));
}

std::optional<int> parse_slots(std::string_view text) {
  int slots = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, slots);
  if (code != std::errc() || stop != end || slots < 1 || slots > kMaxRanks)
    return std::nullopt;
  return slots;
}

Result<std::vector<Host>> parse_hosts(std::string_view text) {
  std::vector<Host> hosts;
  while (true) {
    const size_t comma = text.find(',');
    auto host = parse_host(without_blanks(text.substr(0, comma)));
    if (!host)
      return host.status();
    const auto twice = std::find_if(hosts.begin(), hosts.end(), [&](const Host& other) {
      return same_name(other.name, host.value().name);
    });
    if (twice != hosts.end())
      return error(
          Code::InvalidArgument,
          "-H: {} is named twice; name it once, with the sum of its slots",
          twice->name);
    hosts.push_back(std::move(host).value());
    if (comma == std::string_view::npos)
      return hosts;
    text.remove_prefix(comma + 1);
  }
}

bool is_this_host(std::string_view name, std::string_view own) {
  return same_name(name, "localhost") || name == "127.0.0.1" || name == "[::1]" ||
         same_name(name, own) || same_name(name, own.substr(0, own.find('.')));
}

Result<std::string> this_host_among(
    const std::vector<Host>& hosts,
    std::string_view own,
    const std::vector<std::string>& addresses) {
  std::string here;
  for (const Host& host : hosts) {
    const bool bracketed = host.name.starts_with('[');
    const std::string number = bracketed ? host.name.substr(1, host.name.size() - 2) : host.name;
    if (!is_this_host(host.name, own) &&
        std::find(addresses.begin(), addresses.end(), number) == addresses.end())
      continue;
    if (!here.empty())
      return error(
          Code::InvalidArgument,
          "{} and {} are the same host; name it once, with the sum of its slots",
          here,
          host.name);
    here = host.name;
  }
  return here;
}

Result<std::vector<Placement>> place_ranks(const std::vector<Host>& hosts, int ranks) {
  int64_t slots = 0;
  for (const Host& host : hosts) slots += host.slots;
  if (ranks > slots)
    return error(
        Code::InvalidArgument,
        "-np {} is more than the {} slot{} of the hosts; give them more slots or start at most {} "
        "rank{}",
        ranks,
        slots,
        slots == 1 ? "" : "s",
        slots,
        slots == 1 ? "" : "s");
  std::vector<Placement> places;
  std::vector<int> used;  // ranks on each host
  for (const Host& host : hosts) {
    const int here = std::min<int>(host.slots, ranks - static_cast<int>(places.size()));
    if (here == 0)
      break;
    for (int local = 0; local < here; ++local)
      places.push_back(
          {static_cast<int>(places.size()),
           ranks,
           local,
           here,
           static_cast<int>(
               std::count_if(used.begin(), used.end(), [&](int n) { return n > local; })),
           1,
           host.name});
    used.push_back(here);
  }
  for (Placement& place : places)
    place.cross_size = static_cast<int>(
        std::count_if(used.begin(), used.end(), [&](int n) { return n > place.local_rank; }));
  return places;
}

}  // namespace farandole::launch

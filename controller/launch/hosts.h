#pragma once
// Hosts with their slots, and which rank runs where. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace farandole::launch {

inline constexpr int kMaxRanks = 65536;

struct Host {
  std::string name;
  int slots = 0;
  bool operator==(const Host&) const = default;
};

// "a:2,b:4". Fails: InvalidArgument, naming the entry and what would be right.
Result<std::vector<Host>> parse_hosts(std::string_view text);

// [A-Za-z0-9]([A-Za-z0-9._-]{0,252}) or an IPv6 address in brackets.
bool is_host_name(std::string_view name);
// Whether it is an IPv6 address without its brackets, of which nobody could tell where it ends.
bool unbracketed(std::string_view name) noexcept;
// InvalidArgument: what is wrong with a name that is none.
Status no_host_name(std::string_view name);

// 1 to kMaxRanks, or nothing where `text` is no such number.
std::optional<int> parse_slots(std::string_view text);

// Whether `name` means this machine, which calls itself `own`.
bool is_this_host(std::string_view name, std::string_view own);

// The name among `hosts` that means this machine, which calls itself `own` and has these addresses;
// "" where none does. Fails: InvalidArgument where two do.
Result<std::string> this_host_among(
    const std::vector<Host>& hosts,
    std::string_view own,
    const std::vector<std::string>& addresses);

struct Placement {
  int rank = 0;
  int size = 1;
  int local_rank = 0;
  int local_size = 1;
  int cross_rank = 0;
  int cross_size = 1;
  std::string host;
  bool operator==(const Placement&) const = default;
};

// Fills the hosts in their order. Fails: InvalidArgument where `ranks` are more than the slots,
// naming both.
Result<std::vector<Placement>> place_ranks(const std::vector<Host>& hosts, int ranks);

}  // namespace farandole::launch

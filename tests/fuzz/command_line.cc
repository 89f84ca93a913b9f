// -H and the command line of the launcher: what is accepted makes sense, what is refused is said in
// one clean line.

#include "controller/launch/hosts.h"
#include "controller/launch/options.h"
#include "tests/fuzz/target.h"

namespace farandole::fuzz {
namespace {

using namespace launch;

constexpr const char* kWords[] = {
    "-np",        "-n",       "--num-proc",
    "-H",         "--hosts",  "--timeout",
    "--grace",    "--color",  "--no-color",
    "--verbose",  "--help",   "--start-timeout",
    "-h",         "-v",       "--version",
    "--help-env", "markdown", "--help-env=markdown",
    "--",         "-",        "python",
    "train.py",   "4",        "0",
    "65536",      "1e3",      "localhost:4",
    "a:1,b:2",    "[::1]:3",  "-np=2",
    "-H=a:1",     "-Hb:2",    "--timeout=0.5",
    "--grace=0",  "--np=3",   "--num-proc=1",
    "",           "inf",      "-1",
    "--hosts=",   "NaN",      "--=",
};

bool is_clean(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 ? byte != 0x7F : c == '\n';
  });
}

void check_placement(const std::vector<Host>& hosts, int ranks) {
  int64_t slots = 0;
  for (const Host& host : hosts) slots += host.slots;
  const auto places = place_ranks(hosts, ranks);
  require(places.has_value() == (ranks <= slots), "ranks fit if there are slots");
  if (!places)
    return;
  require(places.value().size() == static_cast<size_t>(ranks), "every rank has a place");
  for (int rank = 0; rank < ranks; ++rank) {
    const Placement& place = places.value()[static_cast<size_t>(rank)];
    require(place.rank == rank && place.size == ranks, "ranks are numbered in order");
    require(place.local_rank >= 0 && place.local_rank < place.local_size, "on their host");
    require(place.cross_rank >= 0 && place.cross_rank < place.cross_size, "and across hosts");
    require(place.cross_size <= static_cast<int>(hosts.size()), "of which there are so many");
  }
}

void check_hosts(Input& in) {
  const auto ranks = static_cast<int>(1 + in.below(64));
  const std::string text = in.rest();
  const auto hosts = parse_hosts(text);
  if (!hosts) {
    require(is_clean(hosts.status().message()), "what is wrong is said in clean text");
    return;
  }
  std::string again;
  for (const Host& host : hosts.value()) {
    require(is_host_name(host.name) && is_clean(host.name), "a host has a name");
    require(host.slots >= 1 && host.slots <= kMaxRanks, "and slots");
    again += (again.empty() ? "" : ",") + host.name + ":" + std::to_string(host.slots);
  }
  const auto same = parse_hosts(again);
  require(same && same.value() == hosts.value(), "hosts are read as they are written");
  const Status reachable = check_reachable(hosts.value(), "node7.example.org");
  require(is_clean(reachable.message()), "what is out of reach is said in clean text");
  check_placement(hosts.value(), ranks);
}

std::vector<std::string> any_arguments(Input& in) {
  std::vector<std::string> out;
  for (size_t n = in.below(10); n > 0; --n) {
    std::string word = in.byte() < 200 ? std::string(in.one_of(kWords)) : in.text(24);
    if (in.byte() < 16)
      word += in.text(8);
    word = word.substr(0, word.find('\0'));  // as the kernel passes them on
    out.push_back(std::move(word));
  }
  return out;
}

void check_options(const Options& options) {
  require(options.ranks >= 1 && options.ranks <= kMaxRanks, "ranks are bounded");
  require(!options.hosts.empty(), "ranks have hosts");
  require(!options.program.empty(), "there is a program");
  require(options.grace >= Duration::zero(), "times do not run backwards");
  require(!options.timeout || *options.timeout > Duration::zero(), "times do not run backwards");
}

void check_arguments(Input& in) {
  const std::vector<std::string> arguments = any_arguments(in);
  const CommandLine line = parse_command_line(arguments);
  if (line.run)
    return check_options(*line.run);
  require(!line.text.empty() && line.text.back() == '\n', "what is printed ends its line");
  require(line.exit_code == 0 || line.exit_code == 2, "the exit code says which");
  const bool one_line = line.text.find('\n') == line.text.size() - 1;
  require(line.exit_code == 0 || one_line, "what is wrong is said in one line");
  require(line.exit_code == 0 || is_clean(line.text), "of clean text");
}

}  // namespace

void command_line(Input in) {
  return in.flag() ? check_hosts(in) : check_arguments(in);
}

}  // namespace farandole::fuzz

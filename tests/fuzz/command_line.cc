// The command line of the launcher, its lists of hosts and its configuration file: what is accepted
// makes sense, what is refused is said in one clean line.

#include "controller/launch/config_file.h"
#include "controller/launch/environment.h"
#include "controller/launch/flag_table.h"
#include "controller/launch/hostfile.h"
#include "controller/launch/hosts.h"
#include "controller/launch/options.h"
#include "core/base/horovod_variables.h"
#include "tests/fuzz/target.h"

namespace farandole::fuzz {
namespace {

using namespace launch;

constexpr const char* kWords[] = {
    "-np",
    "-n",
    "--num-proc",
    "-H",
    "--hosts",
    "--timeout",
    "--grace",
    "--color",
    "--no-color",
    "--verbose",
    "--help",
    "--start-timeout",
    "-h",
    "-v",
    "--version",
    "--help-env",
    "markdown",
    "--help-env=markdown",
    "--",
    "-",
    "python",
    "train.py",
    "4",
    "0",
    "65536",
    "1e3",
    "localhost:4",
    "a:1,b:2",
    "[::1]:3",
    "-np=2",
    "-H=a:1",
    "-Hb:2",
    "--timeout=0.5",
    "--grace=0",
    "--np=3",
    "--num-proc=1",
    "",
    "inf",
    "-1",
    "--hosts=",
    "NaN",
    "--=",
    "--hostfile",
    "-hostfile=x",
    "--config-file=x",
    "--output-filename",
    "-cb",
    "--gloo",
    "-prefix-timestamp",
    "--mpi",
    "--no-autotune",
    "--fusion-threshold-mb",
    "--cache-capacity=7",
    "--thread-affinity",
    "--thread-affinity=0,2",
    "--log-level=INFO",
    "--horovod",
    "--completion=bash",
    "--completion=fish",
    "--ssh-port",
    "-p=22",
    "--network-interfaces=eth0,ib0",
    "--network-interface",
    "-i=key",
    "--disable-cache",
    "--hosts=a:65535,b:65535",
    "--prefix-output-with-timestamp",
};

// Pieces of hostfiles and of configuration files.
constexpr const char* kPieces[] = {
    "node1",
    "node2:4",
    "[::1]",
    " slots=2",
    " slots = 3",
    " max_slots=4",
    " max_slots=1",
    "\nnode4 slots=3 max_slots=2\n",
    " cpu=",
    "@",
    "#",
    "\n",
    "params:\n",
    "  cache_capacity: 7\n",
    "  fusion-threshold-mb: 1\n",
    "autotune:\n",
    "  enabled: false\n",
    "logging: {level: info, with_timestamp: yes}\n",
    "controller: gloo\n",
    "controller: horovod\n",
    "stall_check:\n",
    "library_options:\n",
    "timeline:\n",
    "  filename: x\n",
    "---\n",
    "&a ",
    "*a",
    "[",
    "{",
    "? ",
    "- ",
    "\"",
    "|\n",
    "true",
    "  enabled: maybe\n",
    "  level:\n",
    "nonsense: 1\n",
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

std::string any_text(Input& in) {
  if (in.flag())
    return in.rest();
  std::string text;
  for (size_t n = in.below(40); n > 0; --n)
    text += in.byte() < 240 ? std::string(in.one_of(kPieces)) : in.text(6);
  return text;
}

void check_hostfile(Input& in) {
  const auto ranks = static_cast<int>(1 + in.below(64));
  const auto hosts = parse_hostfile(any_text(in), "hosts\x1b.txt");
  if (!hosts) {
    require(is_clean(hosts.status().message()), "what is wrong is said in clean text");
    require(hosts.status().message().find('\n') == std::string::npos, "in one line");
    return;
  }
  std::string again;
  for (const Host& host : hosts.value()) {
    require(is_host_name(host.name), "a host has a name");
    require(host.slots >= 1 && host.slots <= kMaxRanks, "and slots");
    again += host.name + " slots=" + std::to_string(host.slots) + "\n";
  }
  const auto same = parse_hostfile(again, "again");
  require(same && same.value() == hosts.value(), "hosts are read as they are written");
  check_placement(hosts.value(), ranks);
}

void check_config_file(Input& in) {
  Arguments given;
  if (in.flag())
    given.flags["--cache-capacity"] = {"--cache-capacity", "1"};
  const Status status = add_config_file(any_text(in), "job\x1b.yaml", given);
  require(is_clean(status.message()), "what is wrong is said in clean text");
  require(status.message().find('\n') == std::string::npos, "in one line");
  for (const auto& [name, flag] : given.flags) {
    const FlagRow* const row = find_flag(name);
    require(row && row->name() == name, "flags are known");
    require(row->use != FlagUse::Refused, "and asked for what is there");
    require(row->takes_value() == flag.value.has_value(), "values stand where they are taken");
    require(flag.from_file || flag.value == "1", "the command line goes before a file");
  }
}

void check_variables(Input& in) {
  static constexpr const char* kNames[] = {
      "HOROVOD_CYCLE_TIME", "HOROVOD_AUTOTUNE", "HOROVOD_RANK", "HOROVOD_LOG_LEVEL", "HOME"};
  Environment environment;
  for (size_t n = in.below(5); n > 0; --n) {
    const std::string name = in.flag() ? in.one_of(kNames) : "HOROVOD_" + in.text(9);
    environment.set(name, in.text(5));
  }
  const auto lookup = [&](const std::string& name) { return environment.find(name); };
  for (const std::string& warning : horovod_warnings(environment.names(), lookup))
    require(is_clean(warning) && !warning.empty(), "warnings are clean text");
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
  const auto here = this_host_among(hosts.value(), "node7.example.org", {"10.0.0.1"});
  require(is_clean(here.status().message()), "what is named twice is said in clean text");
  check_placement(hosts.value(), ranks);
}

// Half of them are command lines but for what stands in the middle.
std::vector<std::string> any_arguments(Input& in) {
  std::vector<std::string> out;
  const bool sensible = in.flag();
  if (sensible && in.flag())
    out.emplace_back("-np=2");
  for (size_t n = in.below(10); n > 0; --n) {
    std::string word = in.byte() < 200 ? std::string(in.one_of(kWords)) : in.text(24);
    if (in.byte() < 16)
      word += in.text(8);
    word = word.substr(0, word.find('\0'));  // as the kernel passes them on
    out.push_back(std::move(word));
  }
  if (sensible)
    out.emplace_back("true");
  return out;
}

void check_options(const Options& options) {
  require(options.ranks >= 1 && options.ranks <= kMaxRanks, "ranks are bounded");
  require(!options.hosts.empty(), "ranks have hosts");
  require(!options.program.empty(), "there is a program");
  const auto& [bind, map] = options.binding;
  require(bind != MachinePart::None || map == MachinePart::None, "what is bound has an order");
  require(bind <= MachinePart::Socket && map <= MachinePart::Socket, "of known parts");
  require(options.grace >= Duration::zero(), "times do not run backwards");
  require(!options.timeout || *options.timeout > Duration::zero(), "times do not run backwards");
}

void check_arguments(Input& in) {
  const std::vector<std::string> arguments = any_arguments(in);
  const std::string text = any_text(in);
  const CommandLine line =
      parse_command_line(arguments, [&](const std::string&) { return Result<std::string>(text); });
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
  switch (in.below(8)) {
    case 1:
    case 3:
      return check_hosts(in);
    case 5:
      return check_hostfile(in);
    case 6:
      return check_config_file(in);
    case 7:
      return check_variables(in);
    default:
      return check_arguments(in);
  }
}

}  // namespace farandole::fuzz

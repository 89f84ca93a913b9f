#include "controller/launch/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>

#include <CLI/CLI.hpp>

#include "controller/launch/report.h"
#include "core/base/config.h"
#include "core/base/format.h"
#include "core/base/nearest.h"

namespace farandole::launch {
namespace {

// As written; checked once all of it is known.
struct RawOptions {
  std::string ranks;
  std::string hosts;
  std::string timeout;
  std::string start_timeout;
  std::string grace;
  std::string help_env;
};

constexpr double kMaxSeconds = 1e8;

constexpr const char* kUsage =
    "Usage: farandolerun -np N [options] PROGRAM [ARGUMENTS...]\n\n"
    "Starts N copies (ranks) of a program, shows their output as \"[rank] line\", and ends all of\n"
    "them when one fails. Everything after PROGRAM belongs to it.\n";

constexpr const char* kFooter =
    "Exit code: 0 when every rank ended with 0; that of the first rank that failed (128 + signal\n"
    "where one ended it); 124 after --timeout; 128 + signal when farandolerun was told to end; 126 "
    "or\n"
    "127 when the program cannot be executed or found; 2 for a wrong command line or setting.\n\n"
    "Example: farandolerun -np 4 python train.py --epochs 3";

// The description gives the usage line, with what CLI11 does not know of: the program.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App*, std::string) const override { return ""; }
};

struct CliTable {
  CLI::App app{kUsage, "farandolerun"};
  RawOptions raw;
  bool verbose = false;
  bool colour = false;
  bool no_colour = false;
  CLI::Option* help_env = nullptr;

  CliTable() {
    app.formatter(std::make_shared<HelpFormatter>());
    app.add_option(
           "-n,--np,--num-proc",
           raw.ranks,
           "Number of ranks (also written -np); default: all slots of -H")
        ->type_name("N");
    app.add_option(
           "-H,--hosts", raw.hosts, "Hosts with their slots, as in localhost:4; this host only")
        ->type_name("HOST:SLOTS,...");
    app.add_option(
           "--timeout", raw.timeout, "End the whole job after so many seconds, with exit code 124")
        ->type_name("SECONDS");
    app.add_option(
           "--start-timeout",
           raw.start_timeout,
           "How long the ranks may take to find each other (sets FARANDOLE_START_TIMEOUT)")
        ->type_name("SECONDS");
    app.add_option(
           "--grace",
           raw.grace,
           "Time between SIGTERM and SIGKILL when ranks are ended; default: 3")
        ->type_name("SECONDS");
    app.add_flag("--verbose", verbose, "Tell on stderr what is started and how it ends");
    app.add_flag("--color", colour, "Colour the rank prefixes even when the output is no terminal");
    app.add_flag("--no-color", no_colour, "No colours (so does the variable NO_COLOR)");
    help_env = app.add_option(
                      "--help-env",
                      raw.help_env,
                      "List the settings that ranks read from the environment; "
                      "--help-env=markdown as a page")
                   ->expected(0, 1)
                   ->type_name("[=markdown]");
    app.set_version_flag("-v,--version", "farandolerun " FARANDOLE_VERSION, "Print the version");
    app.set_help_flag("-h,--help", "Print this help");
    app.footer(kFooter);
  }
};

CommandLine failure(const std::string& text) {
  return {std::nullopt, "farandolerun: " + text + "\n", kUsageExit};
}

std::string nearest_flag(const CLI::App& app, const std::string& flag) {
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  return nearest(flag, known);
}

// The launcher's own flags in the one form that needs no further thought (--name=value), and where
// the program begins. The rest is not looked at: it belongs to the program.
struct SplitArguments {
  std::vector<std::string> flags;
  std::vector<std::string> program;
  std::string problem;
};

struct Flag {
  std::string written;               // "-np"
  std::string name;                  // as CLI11 knows it: "--num-proc"
  std::optional<std::string> value;  // where it was joined: --timeout=3, -H=a:1, -Ha:1, -np2
};

Flag read_flag(const std::string& word) {
  const size_t equals = word.find('=');
  if (equals != std::string::npos) {
    const std::string written = word.substr(0, equals);
    return {written, written == "-np" ? "--num-proc" : written, word.substr(equals + 1)};
  }
  if (word.starts_with("-np"))
    return {"-np", "--num-proc", word == "-np" ? std::nullopt : std::optional(word.substr(3))};
  const bool joined_short = word.size() > 2 && (word.starts_with("-H") || word.starts_with("-n"));
  if (joined_short)
    return {word.substr(0, 2), word.substr(0, 2), word.substr(2)};
  return {word, word, std::nullopt};
}

bool takes_value(const CliTable& table, const CLI::Option* option) {
  return option->get_items_expected_max() > 0 && option != table.help_env;
}

std::string unknown_flag(const CliTable& table, const std::string& word, const Flag& flag) {
  const std::string near = nearest_flag(table.app, flag.name);
  return fmt::format(
      "unknown flag {}{} (farandolerun --help lists all)",
      printable(word, 80),
      near.empty() ? "" : fmt::format("; did you mean {}?", near));
}

SplitArguments split_arguments(const CliTable& table, const std::vector<std::string>& arguments) {
  SplitArguments split;
  std::vector<const CLI::Option*> seen;
  auto word = arguments.begin();
  for (; word != arguments.end() && word->size() > 1 && word->front() == '-'; ++word) {
    if (*word == "--") {
      ++word;
      break;
    }
    Flag flag = read_flag(*word);
    const CLI::Option* option = table.app.get_option_no_throw(flag.name);
    if (!option)
      return {{}, {}, unknown_flag(table, *word, flag)};
    if (std::find(seen.begin(), seen.end(), option) != seen.end())
      return {{}, {}, flag.written + " is given twice"};
    seen.push_back(option);
    if (flag.value && option->get_items_expected_max() == 0)
      return {{}, {}, flag.written + " takes no value"};
    if (takes_value(table, option) && !flag.value && word + 1 != arguments.end())
      flag.value = *++word;
    if (flag.value.value_or("").empty() && (flag.value || takes_value(table, option)))
      return {{}, {}, flag.written + " needs a value"};
    const std::string name = "--" + option->get_lnames().front();
    split.flags.push_back(flag.value ? name + "=" + *flag.value : name);
  }
  split.program.assign(word, arguments.end());
  return split;
}

std::string help_env_text() {
  std::string text =
      "Settings that ranks read from the environment (farandolerun passes its own on):\n";
  for (const ConfigRow& row : config_rows()) {
    text += fmt::format("\n{}", row.name);
    text += row.fallback.empty() ? "" : "=" + row.fallback;
    text += row.horovod.empty() ? "" : fmt::format("  (also {})", row.horovod);
    text += fmt::format("\n    {}\n    Accepts: {}\n", row.text, row.accepts);
  }
  return text;
}

std::optional<Duration> parse_seconds(const std::string& text, double low) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, number);
  if (code != std::errc() || stop != end || !std::isfinite(number) || number < low ||
      number > kMaxSeconds)
    return std::nullopt;
  return Duration(static_cast<int64_t>(number * 1e9));
}

Status set_seconds(const char* flag, const std::string& text, double low, Duration& member) {
  const auto parsed = parse_seconds(text, low);
  if (!parsed)
    return error(
        Code::InvalidArgument,
        "{} \"{}\" is not valid: a number of seconds from {} to {} is wanted",
        flag,
        printable(text, 80),
        low,
        kMaxSeconds);
  member = *parsed;
  return Status::ok();
}

std::string accepted_start_timeout() {
  for (const ConfigRow& row : config_rows()) {
    if (row.name == "FARANDOLE_START_TIMEOUT")
      return row.accepts;
  }
  return "";
}

Status set_times(const RawOptions& raw, const CLI::App& app, Options& options) {
  if (app.count("--timeout")) {
    Duration timeout{};
    FARANDOLE_RETURN_IF_ERROR(set_seconds("--timeout", raw.timeout, 0.001, timeout));
    options.timeout = timeout;
  }
  if (app.count("--grace"))
    FARANDOLE_RETURN_IF_ERROR(set_seconds("--grace", raw.grace, 0, options.grace));
  if (app.count("--start-timeout")) {
    if (!Config().set("start_timeout", raw.start_timeout))
      return error(
          Code::InvalidArgument,
          "--start-timeout \"{}\" is not valid: {} is wanted",
          printable(raw.start_timeout, 80),
          accepted_start_timeout());
    options.start_timeout = raw.start_timeout;
  }
  return Status::ok();
}

Status set_ranks(const RawOptions& raw, const CLI::App& app, Options& options) {
  const bool has_hosts = app.count("--hosts") > 0;
  if (has_hosts) {
    auto hosts = parse_hosts(raw.hosts);
    if (!hosts)
      return hosts.status();
    options.hosts = std::move(hosts).value();
  }
  if (!app.count("--num-proc")) {
    if (!has_hosts)
      return {
          Code::InvalidArgument,
          "-np is missing: how many ranks? As in farandolerun -np 2 PROGRAM"};
    for (const Host& host : options.hosts) {
      if (host.slots > kMaxRanks - options.ranks)
        return error(
            Code::InvalidArgument,
            "-H has more than {} slots in all; fewer are wanted, or -np",
            kMaxRanks);
      options.ranks += host.slots;
    }
    return Status::ok();
  }
  const char* const end = raw.ranks.data() + raw.ranks.size();
  const auto [stop, code] = std::from_chars(raw.ranks.data(), end, options.ranks);
  if (code != std::errc() || stop != end || options.ranks < 1 || options.ranks > kMaxRanks)
    return error(
        Code::InvalidArgument,
        "-np \"{}\" is not valid: a whole number from 1 to {} is wanted",
        printable(raw.ranks, 80),
        kMaxRanks);
  if (!has_hosts)
    options.hosts = {{"localhost", options.ranks}};
  return Status::ok();
}

CommandLine to_options(const CliTable& table, std::vector<std::string> program) {
  const CLI::App& app = table.app;
  if (app.count("--help-env")) {
    if (table.raw.help_env.empty())
      return {std::nullopt, help_env_text(), 0};
    if (table.raw.help_env == "markdown")
      return {std::nullopt, config_markdown(), 0};
    return failure(fmt::format(
        "--help-env={} is not valid: nothing or markdown is wanted",
        printable(table.raw.help_env, 80)));
  }
  Options options;
  if (Status status = set_ranks(table.raw, app, options); !status)
    return failure(status.message());
  if (Status status = set_times(table.raw, app, options); !status)
    return failure(status.message());
  if (table.colour && table.no_colour)
    return failure("--color and --no-color contradict each other: give one of them");
  if (program.empty())
    return failure("the program is missing: farandolerun -np N PROGRAM [ARGUMENTS...]");
  options.verbose = table.verbose;
  if (table.colour || table.no_colour)
    options.colour = table.colour ? ColourChoice::Always : ColourChoice::Never;
  options.program = std::move(program);
  return {std::move(options), "", 0};
}

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& arguments) {
  CliTable table;
  SplitArguments split = split_arguments(table, arguments);
  if (!split.problem.empty())
    return failure(split.problem);
  try {
    std::reverse(split.flags.begin(), split.flags.end());  // the order that CLI11 wants
    table.app.parse(split.flags);
  } catch (const CLI::CallForHelp&) {
    return {std::nullopt, table.app.help(), 0};
  } catch (const CLI::CallForVersion& version) {
    return {std::nullopt, std::string(version.what()) + "\n", 0};
  } catch (const CLI::ParseError& wrong) {
    return failure(printable(wrong.what()));
  }
  return to_options(table, std::move(split.program));
}

}  // namespace farandole::launch

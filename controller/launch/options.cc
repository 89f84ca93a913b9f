#include "controller/launch/options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <string_view>
#include <utility>

#include "controller/launch/addresses.h"
#include "controller/launch/arguments.h"
#include "controller/launch/completion.h"
#include "controller/launch/config_file.h"
#include "controller/launch/flag_table.h"
#include "controller/launch/help.h"
#include "controller/launch/hostfile.h"
#include "controller/launch/python_program.h"
#include "controller/launch/report.h"
#include "core/base/config.h"
#include "core/base/format.h"

namespace farandole::launch {
namespace {

constexpr double kMaxSeconds = 1e8;
constexpr int64_t kMaxFusionMib = 65536;

CommandLine failure(const std::string& text) {
  return {std::nullopt, "farandolerun: " + text + "\n", kUsageExit};
}

CommandLine print(std::string text) {
  return {std::nullopt, std::move(text), 0};
}

// What says the flag itself: as it was written, or where in which file.
std::string written(const Arguments& given, const std::string& flag) {
  const GivenFlag& found = given.flags.at(flag);
  return found.from_file || flag == "--num-proc" ? found.written : flag;
}

Status not_valid(const Arguments& given, const std::string& flag, std::string_view wanted) {
  return error(
      Code::InvalidArgument,
      "{} \"{}\" is not valid: {} is wanted",
      flag == "--num-proc" ? "-np" : written(given, flag),
      printable(given.value(flag), 80),
      wanted);
}

template <typename Number>
bool read_number(const std::string& text, Number& number) {
  const char* const end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, number);
  return code == std::errc() && stop == end;
}

Status set_seconds(const Arguments& given, const char* flag, double low, Duration& member) {
  double number = 0;
  if (!read_number(given.value(flag), number) || !std::isfinite(number) || number < low ||
      number > kMaxSeconds)
    return not_valid(
        given, flag, fmt::format("a number of seconds from {} to {}", low, kMaxSeconds));
  member = Duration(static_cast<int64_t>(number * 1e9));
  return Status::ok();
}

Status set_times(const Arguments& given, Options& options) {
  if (given.has("--timeout")) {
    Duration timeout{};
    FARANDOLE_RETURN_IF_ERROR(set_seconds(given, "--timeout", 0.001, timeout));
    options.timeout = timeout;
  }
  return given.has("--grace") ? set_seconds(given, "--grace", 0, options.grace) : Status::ok();
}

const ConfigRow& setting_row(const std::vector<ConfigRow>& rows, std::string_view key) {
  std::string name = "FARANDOLE_";
  for (const char ch : key) name += static_cast<char>(std::toupper(static_cast<unsigned char>(ch)));
  return *std::find_if(
      rows.begin(), rows.end(), [&](const ConfigRow& row) { return row.name == name; });
}

Status set_settings(const Arguments& given, Options& options) {
  const auto rows = config_rows();
  std::map<std::string, std::pair<std::string, std::string>> set_by;  // setting: flag, value
  for (const auto& [flag, found] : given.flags) {
    const char* const key = find_flag(flag)->setting;
    if (!*key)
      continue;
    const ConfigRow& row = setting_row(rows, key);
    const FlagRow& says = *find_flag(flag);
    const std::string value = says.takes_value() ? given.value(flag) : says.says;
    if (!Config().set(key, value))
      return not_valid(given, flag, row.accepts);
    const auto [earlier, first] = set_by.try_emplace(row.name, flag, value);
    if (first)
      options.settings.emplace_back(row.name, value);
    else if (earlier->second.second != value)
      return error(
          Code::InvalidArgument,
          "{} and {} contradict each other: give one of them",
          written(given, earlier->second.first),
          written(given, flag));
  }
  if (!given.has("--fusion-threshold-mb"))
    return Status::ok();
  int64_t mib = -1;
  if (!read_number(given.value("--fusion-threshold-mb"), mib) || mib < 0 || mib > kMaxFusionMib)
    return not_valid(
        given,
        "--fusion-threshold-mb",
        fmt::format("a whole number of MiB from 0 to {}", kMaxFusionMib));
  options.settings.emplace_back("FARANDOLE_FUSION_BYTES", fmt::format("{}", mib << 20));
  return Status::ok();
}

Status set_hosts(const Arguments& given, const TextReader& read, Options& options) {
  if (given.has("--hosts") && given.has("--hostfile"))
    return {Code::InvalidArgument, "-H and -hostfile contradict each other: give one of them"};
  if (given.has("--hosts")) {
    auto hosts = parse_hosts(given.value("--hosts"));
    if (!hosts)
      return hosts.status();
    options.hosts = std::move(hosts).value();
  }
  if (given.has("--hostfile")) {
    const std::string name = given.value("--hostfile");
    const auto text = read(name);
    if (!text)
      return error(Code::InvalidArgument, "-hostfile: {}", text.status().message());
    auto hosts = parse_hostfile(text.value(), name);
    if (!hosts)
      return hosts.status();
    options.hosts = std::move(hosts).value();
  }
  return Status::ok();
}

Status set_network(const Arguments& given, Options& options) {
  int port = 0;
  if (given.has("--ssh-port") &&
      (!read_number(given.value("--ssh-port"), port) || port < 1 || port > 65535))
    return not_valid(given, "--ssh-port", "a whole number from 1 to 65535");
  options.ssh = {given.value("--ssh-port"), given.value("--ssh-identity-file")};
  if (!given.has("--network-interfaces"))
    return Status::ok();
  options.interfaces_flag = given.flags.at("--network-interfaces").written;
  auto interfaces = parse_interfaces(given.value("--network-interfaces"));
  if (!interfaces)
    return error(
        Code::InvalidArgument, "{} {}", options.interfaces_flag, interfaces.status().message());
  options.interfaces = std::move(interfaces).value();
  return Status::ok();
}

// Where the flag stands too far behind, says so: there it is the program's.
Status ranks_missing(const Arguments& given) {
  const auto& words = given.program;
  const auto behind = std::find_if(words.begin(), words.end(), [](const std::string& word) {
    const FlagRow* const row = find_flag(word.substr(0, word.find('=')));
    return row && row->name() == "--num-proc";
  });
  if (behind == words.end())
    return {
        Code::InvalidArgument, "-np is missing: how many ranks? As in farandolerun -np 2 PROGRAM"};
  return error(
      Code::InvalidArgument,
      "-np is missing: the {} behind {} is an argument of that program; flags of farandolerun "
      "stand "
      "before it, as in farandolerun -np 2 PROGRAM",
      printable(*behind, 80),
      printable(words.front(), 80));
}

Status set_ranks(const Arguments& given, Options& options) {
  if (given.has("--num-proc")) {
    if (!read_number(given.value("--num-proc"), options.ranks) || options.ranks < 1 ||
        options.ranks > kMaxRanks)
      return not_valid(given, "--num-proc", fmt::format("a whole number from 1 to {}", kMaxRanks));
    if (options.hosts.empty())
      options.hosts = {{"localhost", options.ranks}};
    return Status::ok();
  }
  if (options.hosts.empty())
    return ranks_missing(given);
  for (const Host& host : options.hosts) {
    if (host.slots > kMaxRanks - options.ranks)
      return error(
          Code::InvalidArgument,
          "{} has more than {} slots in all; fewer are wanted, or -np",
          given.has("--hosts") ? "-H" : printable(given.value("--hostfile"), 256),
          kMaxRanks);
    options.ranks += host.slots;
  }
  return Status::ok();
}

Status set_binding(const Arguments& given, Options& options) {
  if (given.has("--bind-to")) {
    const auto part = parse_machine_part(given.value("--bind-to"));
    if (!part)
      return not_valid(given, "--bind-to", "one of none, hwthread, core, numa and socket");
    options.binding.bind = *part;
  }
  if (!given.has("--map-by"))
    return Status::ok();
  // Slots are taken one after the other, as the smallest parts are.
  const bool slots = given.value("--map-by") == "slot";
  const auto part = slots ? MachinePart::Hwthread : parse_machine_part(given.value("--map-by"));
  if (!part || *part == MachinePart::None)
    return not_valid(given, "--map-by", "one of slot, hwthread, core, numa and socket");
  options.binding.map = *part;
  if (options.binding.bind == MachinePart::None)
    return {
        Code::InvalidArgument,
        "--map-by says in which order ranks are bound, and none is; give --bind-to too"};
  return Status::ok();
}

Status set_output(const Arguments& given, Options& options) {
  const bool colour = given.has("--color");
  if (colour && given.has("--no-color"))
    return {
        Code::InvalidArgument, "--color and --no-color contradict each other: give one of them"};
  if (colour || given.has("--no-color"))
    options.colour = colour ? ColourChoice::Always : ColourChoice::Never;
  options.verbose = given.has("--verbose");
  options.timestamps = given.has("--prefix-output-with-timestamp");
  options.output_folder = given.value("--output-filename");
  return Status::ok();
}

Status read_config_file(const TextReader& read, Arguments& given) {
  if (!given.has("--config-file"))
    return Status::ok();
  const std::string name = given.value("--config-file");
  const auto text = read(name);
  if (!text)
    return error(Code::InvalidArgument, "--config-file: {}", text.status().message());
  return add_config_file(text.value(), name, given);
}

Result<Options> to_options(Arguments given, const TextReader& read) {
  Options options;
  FARANDOLE_RETURN_IF_ERROR(read_config_file(read, given));
  FARANDOLE_RETURN_IF_ERROR(set_hosts(given, read, options));
  FARANDOLE_RETURN_IF_ERROR(set_ranks(given, options));
  FARANDOLE_RETURN_IF_ERROR(set_network(given, options));
  FARANDOLE_RETURN_IF_ERROR(set_times(given, options));
  FARANDOLE_RETURN_IF_ERROR(set_settings(given, options));
  FARANDOLE_RETURN_IF_ERROR(set_binding(given, options));
  FARANDOLE_RETURN_IF_ERROR(set_output(given, options));
  if (given.program.empty())
    return {
        {Code::InvalidArgument,
         "the program is missing: farandolerun -np N PROGRAM [ARGUMENTS...]"}};
  options.program = std::move(given.program);
  if (given.has("--horovod")) {
    auto served = under_horovod(options.program);
    if (!served)
      return served.status();
    options.program = std::move(served).value();
  }
  return options;
}

// Flags that ask for a text, and for nothing else.
std::optional<CommandLine> text_asked_for(const Arguments& given) {
  if (given.has("--help"))
    return print(help_text());
  if (given.has("--version"))
    return print(version_text());
  if (given.has("--check-build"))
    return print(check_build_text());
  if (given.has("--completion")) {
    std::string script = completion_text(given.value("--completion"));
    return script.empty() ? failure(not_valid(given, "--completion", "bash or zsh").message())
                          : print(std::move(script));
  }
  if (!given.has("--help-env"))
    return std::nullopt;
  const std::string form = given.value("--help-env");
  if (form.empty())
    return print(help_env_text());
  if (form == "markdown")
    return print(config_markdown());
  return failure(fmt::format(
      "--help-env={} is not valid: nothing or markdown is wanted", printable(form, 80)));
}

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& arguments, const TextReader& read) {
  auto given = split_arguments(arguments);
  if (!given)
    return failure(given.status().message());
  if (auto text = text_asked_for(given.value()))
    return std::move(*text);
  auto options = to_options(std::move(given).value(), read);
  if (!options)
    return failure(options.status().message());
  return {std::move(options).value(), "", 0};
}

}  // namespace farandole::launch

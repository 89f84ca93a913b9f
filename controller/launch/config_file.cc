#include "controller/launch/config_file.h"

#include <algorithm>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include "controller/launch/flag_table.h"
#include "core/base/format.h"
#include "core/base/nearest.h"

namespace farandole::launch {
namespace {

// A key stands for the flag of its name, with hyphens, behind the section's prefix; "enabled" for
// that of the section itself.
struct Section {
  const char* name;
  const char* prefix;
  const char* enabled;  // flag that the key "enabled" turns on; "" where there is none
  std::vector<std::string> keys;
};

const std::vector<Section>& sections() {
  static const std::vector<Section> all{
      {"params",
       "",
       "",
       {"fusion_threshold_mb",
        "cycle_time_ms",
        "cache_capacity",
        "hierarchical_allreduce",
        "hierarchical_allgather",
        "torus_allreduce"}},
      {"autotune",
       "autotune-",
       "--autotune",
       {"enabled",
        "log_file",
        "warmup_samples",
        "steps_per_sample",
        "bayes_opt_max_samples",
        "gaussian_process_noise"}},
      {"timeline", "timeline-", "", {"filename", "mark_cycles"}},
      {"stall_check",
       "stall-check-",
       "--stall-check",
       {"enabled", "warning_time_seconds", "shutdown_time_seconds"}},
      {"library_options",
       "",
       "",
       {"mpi_threads_disable",
        "mpi_args",
        "num_nccl_streams",
        "thread_affinity",
        "gloo_timeout_seconds"}},
      {"logging", "log-", "", {"level", "with_timestamp", "hide_timestamp"}},
  };
  return all;
}

// Either may stand in a file; what is said of it has the one that Horovod's files have.
std::string with(char wanted, char other, std::string text) {
  std::replace(text.begin(), text.end(), other, wanted);
  return text;
}

std::string word_of(const YAML::Node& key) {
  return key.IsScalar() ? with('_', '-', key.Scalar()) : "";
}

std::string flag_of(const Section& section, const std::string& key) {
  return key == "enabled" ? section.enabled : "--" + (section.prefix + with('-', '_', key));
}

bool is_refused(const std::string& flag) {
  const FlagRow* const row = find_flag(flag);
  return !row || row->use == FlagUse::Refused;
}

// Keys that may have an effect, or ask for what is so: those that are refused with whatever value
// are known, and proposed to nobody.
std::vector<std::string> usable_keys(const Section& section) {
  std::vector<std::string> keys;
  for (const std::string& key : section.keys) {
    const std::string flag = flag_of(section, key);
    if (!is_refused(flag) || !is_refused(opposite_flag(flag)))
      keys.push_back(key);
  }
  return keys;
}

std::string list_of(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

constexpr size_t kMaxBytes = 64 << 10;

// Takes a document in and keeps nothing of it.
class NoDocument final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(
      const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(
      const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(
      const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

// Not by YAML::LoadAll, which goes on without end behind some errors.
bool has_several_documents(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  NoDocument none;
  return parser.HandleNextDocument(none) && parser.HandleNextDocument(none);
}

// The first line that holds what no text does; 0 where there is none.
int line_of_control_character(std::string_view text) {
  int line = 1;
  for (const char ch : text) {
    const auto byte = static_cast<unsigned char>(ch);
    if ((byte < 0x20 && ch != '\t' && ch != '\n' && ch != '\r') || byte == 0x7F)
      return line;
    line += ch == '\n' ? 1 : 0;
  }
  return 0;
}

// Reads one file into flags.
class ConfigFile {
 public:
  ConfigFile(std::string_view name, Arguments& given) : name_(printable(name, 256)), given_(given) {
    for (const auto& entry : given.flags) on_command_line_.insert(entry.first);
  }

  Status read(std::string_view text);

 private:
  std::string place(const YAML::Node& node) const;
  Status read_key(const YAML::Node& key, const YAML::Node& value);
  Status read_section(const Section& section, const YAML::Node& values);
  Status read_controller(const YAML::Node& key, const YAML::Node& value);
  Status read_setting(const Section& section, const YAML::Node& key, const YAML::Node& value);
  Status unknown_key(const Section& section, const YAML::Node& key) const;
  Status read_switch(const std::string& flag, const YAML::Node& value, const std::string& where);
  Status add(const std::string& flag, std::optional<std::string> value, const std::string& where);

  std::string name_;
  Arguments& given_;
  std::set<std::string> on_command_line_;
};

std::string ConfigFile::place(const YAML::Node& node) const {
  return fmt::format("{}:{}", name_, node.Mark().line + 1);
}

Status ConfigFile::read(std::string_view text) {
  if (text.size() > kMaxBytes)
    return error(
        Code::InvalidArgument,
        "{} has more than {} bytes; a smaller file is wanted",
        name_,
        kMaxBytes);
  if (const int line = line_of_control_character(text))
    return error(Code::InvalidArgument, "{}:{}: a control character; text is wanted", name_, line);
  const std::string whole(text);
  if (has_several_documents(whole))
    return error(Code::InvalidArgument, "{} holds several documents; one is wanted", name_);
  const YAML::Node document = YAML::Load(whole);
  if (document.IsNull())
    return Status::ok();
  if (!document.IsMap())
    return error(
        Code::InvalidArgument,
        "{} holds no sections; lines like \"params:\" are wanted, with keys below them",
        name_);
  for (const auto& entry : document) FARANDOLE_RETURN_IF_ERROR(read_key(entry.first, entry.second));
  return Status::ok();
}

Status ConfigFile::read_key(const YAML::Node& key, const YAML::Node& value) {
  const std::string word = word_of(key);
  if (word == "controller")
    return read_controller(key, value);
  std::vector<std::string> known{"controller"};
  for (const Section& section : sections()) {
    if (word == section.name)
      return read_section(section, value);
    known.emplace_back(section.name);
  }
  const std::string flag = "--" + with('-', '_', word);
  return error(
      Code::InvalidArgument,
      "{}: unknown section \"{}\"; {}known: {}",
      place(key),
      key.IsScalar() ? printable(key.Scalar(), 80) : "",
      is_refused(flag) ? "" : fmt::format("{} stands on the command line; ", flag),
      list_of(known));
}

Status ConfigFile::read_controller(const YAML::Node& key, const YAML::Node& value) {
  const std::string word = value.IsScalar() ? value.Scalar() : "";
  if (word != "gloo" && word != "mpi")
    return error(
        Code::InvalidArgument,
        "{}: controller \"{}\" is not valid: gloo is wanted",
        place(key),
        printable(word, 80));
  return add("--" + word, std::nullopt, place(key) + ": controller");
}

Status ConfigFile::read_section(const Section& section, const YAML::Node& values) {
  if (values.IsNull())
    return Status::ok();
  if (!values.IsMap())
    return error(
        Code::InvalidArgument,
        "{}: {} holds no keys; known: {}",
        place(values),
        section.name,
        list_of(usable_keys(section)));
  for (const auto& entry : values)
    FARANDOLE_RETURN_IF_ERROR(read_setting(section, entry.first, entry.second));
  return Status::ok();
}

Status ConfigFile::unknown_key(const Section& section, const YAML::Node& key) const {
  const std::vector<std::string> usable = usable_keys(section);
  const std::string near = nearest(word_of(key), usable);
  return error(
      Code::InvalidArgument,
      "{}: unknown key \"{}\" in {}; {}known: {}",
      place(key),
      key.IsScalar() ? printable(key.Scalar(), 80) : "",
      section.name,
      near.empty() ? "" : fmt::format("did you mean {}? ", near),
      list_of(usable));
}

Status ConfigFile::read_setting(
    const Section& section, const YAML::Node& key, const YAML::Node& value) {
  const std::string word = word_of(key);
  if (std::find(section.keys.begin(), section.keys.end(), word) == section.keys.end())
    return unknown_key(section, key);
  const std::string where = fmt::format("{}: {}", place(key), printable(key.Scalar(), 80));
  if (!value.IsScalar())
    return error(Code::InvalidArgument, "{} needs one value behind it", where);
  const std::string flag = flag_of(section, word);
  if (!find_flag(flag)->takes_value())
    return read_switch(flag, value, where);
  // Without what the section turns on, which is refused by itself, it says nothing.
  const bool of_what_is_off = *section.enabled && is_refused(section.enabled);
  return of_what_is_off ? Status::ok() : add(flag, value.Scalar(), where);
}

Status ConfigFile::read_switch(
    const std::string& flag, const YAML::Node& value, const std::string& where) {
  bool on = false;
  if (!YAML::convert<bool>::decode(value, on))
    return error(
        Code::InvalidArgument,
        "{} \"{}\" is not valid: true or false is wanted",
        where,
        printable(value.Scalar(), 80));
  const std::string asked = on ? flag : opposite_flag(flag);
  // Horovod does not do it either unless it is told to.
  const bool asks_for_nothing = asked.starts_with("--no-") && is_refused(asked);
  return asks_for_nothing ? Status::ok() : add(asked, std::nullopt, where);
}

Status ConfigFile::add(
    const std::string& flag, std::optional<std::string> value, const std::string& where) {
  const std::string name = find_flag(flag)->name();
  if (on_command_line_.contains(name) || on_command_line_.contains(opposite_flag(name)))
    return Status::ok();
  return given_.add(name, {where, std::move(value), true});
}

}  // namespace

Status add_config_file(std::string_view text, std::string_view name, Arguments& given) {
  try {
    return ConfigFile(name, given).read(text);
  } catch (const YAML::Exception& wrong) {
    const int line = wrong.mark.is_null() ? 1 : wrong.mark.line + 1;
    return error(
        Code::InvalidArgument,
        "{}:{}: this is no YAML: {}",
        printable(name, 256),
        line,
        printable(wrong.msg, 200));
  }
}

}  // namespace farandole::launch

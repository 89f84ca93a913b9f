#include "controller/launch/completion.h"

#include <algorithm>
#include <array>
#include <vector>

#include "controller/launch/flag_table.h"
#include "core/base/format.h"

namespace farandole::launch {
namespace {

// What stands behind flags, by its name in the table of flags, in the words of each shell.
struct Kind {
  const char* value;
  const char* bash;
  const char* zsh;
};

constexpr std::array<Kind, 8> kKinds{{
    {"FILE", R"sh(compgen -f -- "$last")sh", "_files"},
    {"DIR", R"sh(compgen -d -- "$last")sh", "_files -/"},
    {"HOST:SLOTS,...", R"sh(compgen -A hostname -- "$last")sh", "_sequence -s , _hosts"},
    {"NAMES",
     R"sh(compgen -W "$(ls /sys/class/net)" -- "$last")sh",
     "_sequence -s , _net_interfaces"},
    {"LEVEL",
     R"sh(compgen -W 'trace debug info warning error fatal off' -- "$last")sh",
     "(trace debug info warning error fatal off)"},
    {"PART",
     R"sh(compgen -W 'none hwthread core numa socket' -- "$last")sh",
     "(none hwthread core numa socket)"},
    {"ORDER",
     R"sh(compgen -W 'slot hwthread core numa socket' -- "$last")sh",
     "(slot hwthread core numa socket)"},
    {"SHELL", R"sh(compgen -W 'bash zsh' -- "$last")sh", "(bash zsh)"},
}};

constexpr const char* kBash = R"sh(# eval "$(farandolerun --completion bash)" in ~/.bashrc
_farandolerun_values() {
  local last=$2
  case $1 in
@VALUES@  esac
}

_farandolerun() {
  local current=${COMP_WORDS[COMP_CWORD]} flag= word program
  [[ $current == [=:] ]] && current=
  for ((program = 1; program < COMP_CWORD; ++program)); do
    word=${COMP_WORDS[program]}
    if [[ $word == [=:] ]]; then # bash takes --flag=value and host:4 apart
      [[ -n $flag ]] || flag=$word
      continue
    elif [[ -n $flag ]]; then
      flag=
      continue
    fi
    case $word in
      --) ((++program)); break ;;
      @TAKING@) flag=$word ;;
      -*) ;;
      *) break ;;
    esac
  done
  if ((program < COMP_CWORD)); then
    if declare -F _command_offset > /dev/null; then
      _command_offset "$program"
    else
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
  elif [[ -n $flag ]]; then
    local last=${current##*,}
    mapfile -t COMPREPLY < <(_farandolerun_values "$flag" "$last")
    COMPREPLY=("${COMPREPLY[@]/#/${current%"$last"}}")
  elif [[ $current == -* && ${COMP_WORDS[COMP_CWORD - 1]} != -- ]]; then
    mapfile -t COMPREPLY < <(compgen -W '@FLAGS@' -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -c -- "$current")
  fi
}
complete -o filenames -F _farandolerun farandolerun
)sh";

constexpr const char* kZsh = R"sh(#compdef farandolerun
# eval "$(farandolerun --completion zsh)" behind compinit in ~/.zshrc
_farandolerun() {
  _arguments -S \
@FLAGS@    '(-):program:_command_names -e' \
    '*::argument:_normal'
}
if [[ ${funcstack[1]-} == _farandolerun ]]; then
  _farandolerun "$@"
else
  compdef _farandolerun farandolerun
fi
)sh";

std::vector<std::string> names_of(const FlagRow& row) {
  std::vector<std::string> names;
  for (std::string_view left = row.names; !left.empty();) {
    const size_t end = std::min(left.find(','), left.size());
    names.emplace_back(left.substr(0, end));
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  return names;
}

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : std::string(between)) + word;
  return text;
}

const Kind* kind_of(const FlagRow& row) {
  const auto found = std::find_if(kKinds.begin(), kKinds.end(), [&](const Kind& kind) {
    return std::string_view(kind.value) == row.value;
  });
  return found == kKinds.end() ? nullptr : &*found;
}

void replace(std::string& text, std::string_view mark, const std::string& with) {
  text.replace(text.find(mark), mark.size(), with);
}

// Between single quotes, where a colon would end a part and brackets a text.
std::string zsh_quoted(std::string_view text, std::string_view special) {
  std::string out;
  for (const char ch : text) {
    if (special.find(ch) != std::string_view::npos)
      out += '\\';
    out += ch == '\'' ? R"sh('\'')sh" : std::string(1, ch);
  }
  return out;
}

std::string bash_text() {
  std::string values;
  std::vector<std::string> taking;
  std::vector<std::string> all;
  for (const FlagRow& row : flag_table()) {
    if (row.use == FlagUse::Refused)
      continue;
    const auto names = names_of(row);
    all.insert(all.end(), names.begin(), names.end());
    if (!row.takes_value() || row.value_optional)
      continue;
    taking.insert(taking.end(), names.begin(), names.end());
    if (const Kind* kind = kind_of(row))
      values += fmt::format("    {}) {} ;;\n", joined(names, "|"), kind->bash);
  }
  std::string text = kBash;
  replace(text, "@VALUES@", values);
  replace(text, "@TAKING@", joined(taking, "|"));
  replace(text, "@FLAGS@", joined(all, " "));
  return text;
}

std::string zsh_text() {
  std::string flags;
  for (const FlagRow& row : flag_table()) {
    if (row.use == FlagUse::Refused)
      continue;
    const auto names = names_of(row);
    const Kind* const kind = kind_of(row);
    for (const std::string& name : names) {
      const bool value = row.takes_value() && !row.value_optional;
      const bool joins = value && name.starts_with("--");
      flags += fmt::format(
          "    '({}){}{}[{}]{}' \\\n",
          joined(names, " "),
          name,
          joins ? "=" : "",
          zsh_quoted(row.text, "[]:"),
          !value ? "" : fmt::format(":{}:{}", zsh_quoted(row.value, ":"), kind ? kind->zsh : " "));
    }
  }
  std::string text = kZsh;
  replace(text, "@FLAGS@", flags);
  return text;
}

}  // namespace

std::string completion_text(std::string_view shell) {
  if (shell == "bash")
    return bash_text();
  return shell == "zsh" ? zsh_text() : "";
}

}  // namespace farandole::launch

#include "controller/launch/arguments.h"

#include <array>
#include <string_view>
#include <utility>

#include "controller/launch/flag_table.h"
#include "core/base/format.h"

namespace farandole::launch {
namespace {

struct Word {
  std::string flag;
  std::optional<std::string> value;  // where it was joined: --timeout=3, -H=a:1, -Ha:1, -np2
};

Word read_word(const std::string& word) {
  const size_t equals = word.find('=');
  if (equals != std::string::npos)
    return {word.substr(0, equals), word.substr(equals + 1)};
  if (find_flag(word))
    return {word, std::nullopt};
  static constexpr std::array<std::string_view, 3> kJoined{"-np", "-H", "-n"};
  for (const std::string_view flag : kJoined) {
    if (word.starts_with(flag))
      return {std::string(flag), word.substr(flag.size())};
  }
  return {word, std::nullopt};
}

Status unknown_flag(const std::string& word, const std::string& flag) {
  const std::string near = nearest_flag(flag);
  return error(
      Code::InvalidArgument,
      "unknown flag {}{} (farandolerun --help lists all)",
      printable(word, 80),
      near.empty() ? "" : fmt::format("; did you mean {}?", near));
}

}  // namespace

std::string Arguments::value(const std::string& name) const {
  const auto found = flags.find(name);
  return found == flags.end() ? "" : found->second.value.value_or("");
}

Status Arguments::add(const std::string& name, GivenFlag given) {
  const FlagRow& row = *find_flag(name);
  const std::string written = printable(given.written, 300);
  if (row.use == FlagUse::Refused)
    return error(Code::InvalidArgument, "{}: {}", written, row.text);
  if (flags.contains(row.name()))
    return error(Code::InvalidArgument, "{} is given twice", written);
  if (given.value && !row.takes_value())
    return error(Code::InvalidArgument, "{} takes no value", written);
  const bool missing = !given.value && row.takes_value() && !row.value_optional;
  if (missing || (given.value && given.value->empty()))
    return error(Code::InvalidArgument, "{} needs a value", written);
  flags.emplace(row.name(), std::move(given));
  return Status::ok();
}

Result<Arguments> split_arguments(const std::vector<std::string>& words) {
  Arguments given;
  auto word = words.begin();
  for (; word != words.end() && word->size() > 1 && word->front() == '-'; ++word) {
    if (*word == "--") {
      ++word;
      break;
    }
    Word read = read_word(*word);
    const FlagRow* const row = find_flag(read.flag);
    if (!row)
      return unknown_flag(*word, read.flag);
    const bool value_follows = row->takes_value() && !row->value_optional && !read.value;
    if (value_follows && row->use != FlagUse::Refused && word + 1 != words.end())
      read.value = *++word;
    FARANDOLE_RETURN_IF_ERROR(given.add(row->name(), {read.flag, std::move(read.value)}));
  }
  given.program.assign(word, words.end());
  return given;
}

}  // namespace farandole::launch

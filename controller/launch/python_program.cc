#include "controller/launch/python_program.h"

#include <algorithm>
#include <string_view>

#include "core/base/format.h"

namespace farandole::launch {
namespace {

constexpr const char* kModule = "farandole.horovod";

// python, python3, python3.12, /opt/python3.13t/bin/python3.13t
bool is_python(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  constexpr std::string_view kName = "python";
  if (!name.starts_with(kName))
    return false;
  std::string_view version = name.substr(kName.size());
  if (version.ends_with('t') || version.ends_with('d'))  // without a lock; with more checks
    version.remove_suffix(1);
  return version.find_first_not_of("0123456789.") == std::string_view::npos;
}

Status refused(std::string_view why) {
  return error(
      Code::InvalidArgument,
      "--horovod {}; as in farandolerun --horovod -np 2 python train.py",
      why);
}

// What a word before the script says to the interpreter.
struct Word {
  size_t module = std::string_view::npos;  // where in it "m" stands
  bool command = false;                    // it is code, and no script follows
  bool value_follows = false;
};

Word read_word(std::string_view word) {
  Word read;
  if (word.starts_with("--")) {
    read.value_follows = word == "--check-hash-based-pycs";
    return read;
  }
  for (size_t i = 1; i < word.size(); ++i) {
    if (word[i] == 'c')
      read.command = true;
    if (word[i] == 'm')
      read.module = i;
    if (word[i] == 'W' || word[i] == 'X')
      read.value_follows = i + 1 == word.size();
    if (std::string_view("cmWX").find(word[i]) != std::string_view::npos)
      break;  // what stands behind it is its value
  }
  return read;
}

}  // namespace

Result<std::vector<std::string>> under_horovod(const std::vector<std::string>& program) {
  if (program.empty() || !is_python(program.front()))
    return refused(fmt::format(
        "runs programs of Python, and \"{}\" is none",
        program.empty() ? "" : printable(program.front(), 80)));
  std::vector<std::string> out{program.front()};
  auto word = program.begin() + 1;
  for (; word != program.end() && word->size() > 1 && word->front() == '-'; ++word) {
    const Word read = read_word(*word);
    if (read.command)
      return refused("runs scripts and modules, not code behind -c");
    if (read.module != std::string_view::npos) {
      const std::string before = word->substr(0, read.module);
      const std::string behind = word->substr(read.module + 1);
      if (before.size() > 1)
        out.push_back(before);
      if (behind.empty() ? word + 1 != program.end() && word[1] == kModule : behind == kModule)
        return program;
      out.insert(out.end(), {"-m", kModule, "-m"});
      if (!behind.empty())
        out.push_back(behind);
      else if (word + 1 == program.end())
        return refused("needs the module behind -m");
      out.insert(out.end(), word + 1, program.end());
      return out;
    }
    out.push_back(*word);
    if (read.value_follows && word + 1 != program.end())
      out.push_back(*++word);
  }
  if (word == program.end() || *word == "-")
    return refused("needs a script or a module; there is none");
  out.insert(out.end(), {"-m", kModule});
  out.insert(out.end(), word, program.end());
  return out;
}

}  // namespace farandole::launch

#include "controller/launch/help.h"

#include <algorithm>
#include <set>

#include <CLI/CLI.hpp>

#include "controller/launch/flag_table.h"
#include "core/base/config.h"
#include "core/base/format.h"

namespace farandole::launch {
namespace {

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
  HelpFormatter() { column_width(50); }
  std::string make_usage(const CLI::App*, std::string) const override { return ""; }
};

// CLI11 knows no flags of one hyphen and several letters, such as -np.
std::string without_words_of_one_hyphen(std::string_view names, std::string& left_out) {
  std::string kept;
  while (!names.empty()) {
    const size_t end = std::min(names.find(','), names.size());
    const std::string_view name = names.substr(0, end);
    const bool known = name.starts_with("--") || name.size() == 2;
    std::string& list = known ? kept : left_out;
    list += (list.empty() ? "" : ",") + std::string(name);
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return kept;
}

}  // namespace

std::string help_text() {
  CLI::App app(kUsage, "farandolerun");
  app.set_help_flag();
  app.formatter(std::make_shared<HelpFormatter>());
  for (const FlagRow& row : flag_table()) {
    if (row.use == FlagUse::Refused)
      continue;
    std::string also;
    const std::string names = without_words_of_one_hyphen(row.names, also);
    const std::string text =
        also.empty() ? row.text : fmt::format("{} (also written {})", row.text, also);
    CLI::Option* const option = row.takes_value()
                                    ? app.add_option(names, text)->type_name(row.value)
                                    : app.add_flag(names, text);
    option->group(row.group);
  }
  app.footer(kFooter);
  return app.help();
}

std::string version_text() {
  return "farandolerun " FARANDOLE_VERSION "\n";
}

std::string version_number() {
  return FARANDOLE_VERSION;
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

std::string check_build_text() {
  return "Farandole v" FARANDOLE_VERSION
         ":\n\n"
         "Available Frameworks:\n"
         "    [ ] TensorFlow\n"
         "    [X] PyTorch, where torch is installed\n"
         "    [ ] MXNet\n"
         "    [X] NumPy, where numpy is installed\n\n"
         "Available Controllers:\n"
         "    [ ] MPI\n"
         "    [X] TCP (where Horovod says Gloo)\n\n"
         "Available Tensor Operations:\n"
         "    [ ] NCCL\n"
         "    [ ] DDL\n"
         "    [ ] CCL\n"
         "    [ ] MPI\n"
         "    [X] Gloo\n"
         "    [X] shared memory\n";
}

}  // namespace farandole::launch

#pragma once
// The ONE table of the launcher's flags: what is read, refused and shown by --help.

#include <string>
#include <string_view>
#include <vector>

namespace farandole::launch {

enum class FlagUse {
  Acts,
  AlwaysSo,  // asks for what is so in any case: nothing to do
  Refused,   // what it asks for is not there; `text` says why, and what to do instead
};

struct FlagRow {
  const char* names;  // "-H,--hosts": all that mean the same; the last one is the flag's own
  const char* value;  // what is to follow: "SECONDS"; "" where nothing may
  FlagUse use;
  const char* group;  // heading in --help
  const char* text;
  bool value_optional = false;
  const char* setting = "";  // key of the table of settings whose value this is
  const char* says = "";     // that value, of a flag that takes none

  std::string name() const;  // "--hosts"
  bool takes_value() const { return *value != '\0'; }
};

const std::vector<FlagRow>& flag_table();

// The row that has `name` among its names, or nothing.
const FlagRow* find_flag(std::string_view name);
// The known flag (none that is refused) that is most like `name`; "" where none is.
std::string nearest_flag(std::string_view name);
// "--x" for "--no-x" and the other way round, and what else contradicts a flag; "" for none.
std::string opposite_flag(std::string_view name);

}  // namespace farandole::launch

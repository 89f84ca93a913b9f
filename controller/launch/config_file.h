#pragma once
// The launcher's flags from a YAML file with the sections of horovodrun's. Pure.

#include <string_view>

#include "controller/launch/arguments.h"
#include "core/base/status.h"

namespace farandole::launch {

// Adds to `given` what the file asks for, but for flags that are there already, in whatever
// direction: those of the command line go before it. `name`: of the file, for errors.
// Fails: InvalidArgument, naming file, line and key, and what would be right.
Status add_config_file(std::string_view text, std::string_view name, Arguments& given);

}  // namespace farandole::launch

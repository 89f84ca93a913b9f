#pragma once
// Flags of horovodrun, and variables of Horovod, whose capability is not here: refused by name and
// reason, so that nobody believes that they had an effect.

#include <string>
#include <vector>

#include "controller/launch/environment.h"
#include "controller/launch/flag_table.h"

namespace farandole::launch {

std::vector<FlagRow> refused_flags();

// One line for each HOROVOD_* variable that has no effect, although its value asks for one.
std::vector<std::string> horovod_warnings(const Environment& environment);

}  // namespace farandole::launch

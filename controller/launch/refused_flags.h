#pragma once
// Flags of horovodrun whose capability is not here: refused by name and reason, so that nobody
// believes that they had an effect.

#include <vector>

#include "controller/launch/flag_table.h"

namespace farandole::launch {

std::vector<FlagRow> refused_flags();

}  // namespace farandole::launch

#pragma once
// Variables of Horovod whose capability is not here: named with the reason, so that nobody
// believes that they had an effect.

#include <string>
#include <vector>

#include "core/base/config.h"

namespace farandole {

// Why something of Horovod's has no effect, and what to do instead; also of horovodrun's flags.
namespace absent {
inline constexpr const char* kCycle =
    "there is no cycle to set: tensors are agreed upon as they come; leave it out";
inline constexpr const char* kTorus =
    "there is no torus; leave it out, and collectives go through shared memory inside hosts and "
    "Gloo across them";
inline constexpr const char* kMpi =
    "there is no MPI here; leave it out: the launcher starts the ranks by itself";
inline constexpr const char* kGpu =
    "there are no GPUs yet, and so no streams to number; leave it out";
inline constexpr const char* kLogWithoutTime =
    "messages of the log always have the time; leave it out";
}  // namespace absent

// One line for each of `names` that is a HOROVOD_* variable without an effect although its value
// asks for one, ordered by name. What the variables hold is looked up, and never shown.
// None where a launcher has made this process another rank than 0: that one speaks for all.
std::vector<std::string> horovod_warnings(
    std::vector<std::string> names, const Config::Lookup& lookup);

}  // namespace farandole

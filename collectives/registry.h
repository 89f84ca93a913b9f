#pragma once
// The registry: which communicator serves a group.

#include <memory>

#include "core/base/config.h"
#include "core/communicator.h"
#include "core/store.h"

namespace farandole {

// Forms the communicator that the group's hosts and config.communicator ask for. Every member
// calls it, on its lane; all choose alike, because all see the same members and settings.
// Fails: InvalidArgument where a forced communicator cannot serve the group; else as the
// communicator's connect.
Result<std::unique_ptr<Communicator>> make_communicator(
    const GroupSpec& group, Store& store, const Config& config);

}  // namespace farandole

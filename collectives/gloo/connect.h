#pragma once
// How the members of a group come to collectives over Gloo.

#include <memory>

#include "collectives/gloo/gloo_communicator.h"
#include "core/base/config.h"
#include "core/communicator.h"
#include "core/store.h"

namespace farandole::gloo_comm {

// Connects every member with every other, authenticated; any hosts, any number of members.
// Fails: Timeout naming who is missing, Mismatch (secret), PeerLost, Aborted, as the Store; System.
Result<std::unique_ptr<Communicator>> connect(
    const GroupSpec& spec, Store& store, const Config& config, const GlooOptions& options = {});

}  // namespace farandole::gloo_comm

#pragma once
// How the members of a group come to share memory.

#include <memory>

#include "core/base/config.h"
#include "core/communicator.h"
#include "core/store.h"

namespace farandole::shm {

// Forms the communicator of a group whose members are all on this host. The first member creates
// the memory and hands it over; each tells through the Store whether it could map it; the first one
// says how that ended, so that all return the same verdict.
// Fails: Unsupported where shared memory cannot be had by some member (no room, another container):
// another communicator may do. Timeout, PeerLost, Aborted, as the Store; System.
Result<std::unique_ptr<Communicator>> connect(
    const GroupSpec& spec, Store& store, const Config& config);

}  // namespace farandole::shm

#pragma once
// How the members of a group find one another: every one listens, publishes where in the store,
// connects to those before it in the group and is connected to by those behind it. Both ends of
// each connection prove the job's secret first.

#include <memory>

#include "collectives/gloo/transport/mesh.h"
#include "core/base/config.h"
#include "core/communicator.h"
#include "core/store.h"

namespace farandole::gloo_transport {

// Blocks until all members are connected. The listener is closed on return.
// Fails: Timeout naming who is missing; Mismatch where a member has another secret, job or group;
// System; at once what the store or spec.interrupt gives when the job fails meanwhile.
Result<std::shared_ptr<Mesh>> connect_mesh(
    const GroupSpec& spec, Store& store, const Config& config);

}  // namespace farandole::gloo_transport

#pragma once
// How a group of several hosts comes to its communicator.

#include <cstddef>
#include <functional>
#include <memory>

#include "core/base/config.h"
#include "core/communicator.h"
#include "core/store.h"

namespace farandole::hierarchical {

using Connect =
    std::function<Result<std::unique_ptr<Communicator>>(const GroupSpec&, Store&, const Config&)>;

// `inside` connects the members of one host, `across` members of several; groups of one need
// neither. `staging_bytes` bounds the memory for widening and reordering; equal on all members.
// Fails: as these.
Result<std::unique_ptr<Communicator>> connect(
    const GroupSpec& spec,
    Store& store,
    const Config& config,
    const Connect& inside,
    const Connect& across,
    size_t staging_bytes = 8 << 20);

}  // namespace farandole::hierarchical

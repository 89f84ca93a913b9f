#pragma once
// The composition root: the one place that knows the engine, the control planes and the
// communicators, and puts a session together from them.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/config.h"
#include "core/base/status.h"
#include "core/observer.h"
#include "core/session.h"

namespace farandole {

// Forms the group that `config` (or the launcher behind it) describes, within
// config.start_timeout. `give_up`, where there is one, is asked on the calling thread every 100 ms
// while others are waited for: true ends it. `stacks`: as in TcpControlPlaneOptions. Thread: any.
// Fails: as Session::start, and as find_job; Aborted when it gives up.
Result<std::unique_ptr<Session>> make_session(
    Config config,
    std::vector<std::shared_ptr<Observer>> observers = {},
    std::function<bool()> give_up = {},
    std::function<std::string()> stacks = {});

// How long the loop of a session looks for the next message before it blocks: spin_time where every
// rank of this host has one of its `cores`, and none has to wait for a core that another one's
// looking takes; else not at all.
Duration linger_of(const Topology& topology, const Config& config, double cores);

}  // namespace farandole

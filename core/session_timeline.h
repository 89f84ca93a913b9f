#pragma once
// The timeline of a session: which rank writes which file.

#include <string>

#include "core/session.h"

namespace farandole {

// Records to `path`, where "{rank}" stands for the rank's number: then every rank that calls this
// has a file of its own. A path without it is that of rank 0 alone, and other ranks do nothing.
// Fails: as Timeline::start; InvalidArgument for an empty path; Aborted after shutdown.
Status start_timeline(Session& session, const std::string& path, bool mark_cycles);

}  // namespace farandole

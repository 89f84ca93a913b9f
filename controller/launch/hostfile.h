#pragma once
// Files that list hosts, one a line. Pure.

#include <string_view>
#include <vector>

#include "controller/launch/hosts.h"
#include "core/base/status.h"

namespace farandole::launch {

// "host slots=4", as Horovod writes it. Of what Open MPI, MPICH and schedulers write beside that:
// cpu= or count= for slots=, max_slots=, "host:4", and a host alone, which has a slot for each line
// that names it. '#' begins a comment; blank lines are passed over. `name`: of the file, for
// errors. Fails: InvalidArgument, naming file and line and what would be right.
Result<std::vector<Host>> parse_hostfile(std::string_view text, std::string_view name);

}  // namespace farandole::launch

#pragma once
// What hwloc knows of this machine.

#include <string>

#include "controller/launch/binding.h"

namespace farandole::launch {

// The parts of the machine, without what `usable` lacks. `synthetic`: of a machine that hwloc makes
// up ("package:2 core:4 pu:2"), for tests; "": this one, or what HWLOC_SYNTHETIC and HWLOC_XMLFILE
// say where HWLOC_THISSYSTEM=1 says that they are right about it.
// Fails: System; InvalidArgument where those variables describe another machine.
Result<MachineParts> read_machine(const CpuSet& usable, const std::string& synthetic = "");

// The processors of each rank of this host, of those that the launcher itself may use; nothing
// where the policy binds nothing. `thread_cores`: to which the ranks' threads will bind themselves.
// Fails: as read_machine, bind_ranks and check_thread_cores.
Result<std::vector<CpuSet>> bind_here(
    const BindPolicy& policy, const std::vector<int>& thread_cores, int ranks);

}  // namespace farandole::launch

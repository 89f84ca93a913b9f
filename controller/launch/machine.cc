#include "controller/launch/machine.h"

#include <hwloc.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

#include "core/base/format.h"

// hwloc is compiled in, and asks udev about disks and network cards. Processors alone are read
// here, so it is told that there is no udev: the launcher needs no library for what it never asks.
extern "C" {
struct udev;
struct udev_device;
udev* udev_new();
udev* udev_unref(udev* context);
udev_device* udev_device_new_from_subsystem_sysname(udev* context, const char*, const char*);
udev_device* udev_device_unref(udev_device* device);
const char* udev_device_get_property_value(udev_device* device, const char* key);

udev* udev_new() {
  return nullptr;
}
udev* udev_unref(udev* /*context*/) {
  return nullptr;
}
udev_device* udev_device_new_from_subsystem_sysname(
    udev* /*context*/, const char* /*subsystem*/, const char* /*name*/) {
  return nullptr;
}
udev_device* udev_device_unref(udev_device* /*device*/) {
  return nullptr;
}
const char* udev_device_get_property_value(udev_device* /*device*/, const char* /*key*/) {
  return nullptr;
}
}

namespace farandole::launch {
namespace {

struct Destroy {
  void operator()(hwloc_topology* topology) const { hwloc_topology_destroy(topology); }
};
using TopologyPtr = std::unique_ptr<hwloc_topology, Destroy>;

Result<TopologyPtr> load(const std::string& synthetic) {
  // Nor does it load plugins, which are of another hwloc. Ranks do not see this: their environment
  // is a value of ours.
  setenv("HWLOC_PLUGINS_PATH", "", 1);  // NOLINT(concurrency-mt-unsafe): one thread
  hwloc_topology* made = nullptr;
  if (hwloc_topology_init(&made) != 0)
    return system_error("hwloc_topology_init", errno);
  TopologyPtr topology(made);
  hwloc_topology_set_all_types_filter(made, HWLOC_TYPE_FILTER_KEEP_NONE);
  hwloc_topology_set_type_filter(made, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
  hwloc_topology_set_type_filter(made, HWLOC_OBJ_PACKAGE, HWLOC_TYPE_FILTER_KEEP_ALL);
  // Of groups hang the memories of which a socket has several.
  hwloc_topology_set_type_filter(made, HWLOC_OBJ_GROUP, HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
  if (!synthetic.empty() && hwloc_topology_set_synthetic(made, synthetic.c_str()) != 0)
    return system_error("hwloc_topology_set_synthetic", errno);
  if (hwloc_topology_load(made) != 0)
    return system_error("hwloc_topology_load", errno);
  if (synthetic.empty() && hwloc_topology_is_thissystem(made) == 0)
    return {
        {Code::InvalidArgument,
         "HWLOC_SYNTHETIC or HWLOC_XMLFILE describes another machine; unset it, or set "
         "HWLOC_THISSYSTEM=1 where it is right about this one"}};
  return topology;
}

CpuSet cpus_of(hwloc_const_cpuset_t set, const CpuSet& usable) {
  CpuSet found;
  for (const int cpu : usable) {
    if (set && hwloc_bitmap_isset(set, static_cast<unsigned>(cpu)) == 1)
      found.insert(cpu);
  }
  return found;
}

// The parts of one kind, each processor in the first that has it: memories of several kinds are
// near the same ones.
std::vector<CpuSet> parts_of(hwloc_topology* topology, hwloc_obj_type_t kind, CpuSet left) {
  std::vector<CpuSet> parts;
  for (hwloc_obj_t object = hwloc_get_next_obj_by_type(topology, kind, nullptr); object;
       object = hwloc_get_next_obj_by_type(topology, kind, object)) {
    CpuSet part = cpus_of(object->cpuset, left);
    for (const int cpu : part) left.erase(cpu);
    if (!part.empty())
      parts.push_back(std::move(part));
  }
  if (left.empty())
    return parts;
  // Of machines that do not tell, and virtual ones.
  if (kind == HWLOC_OBJ_CORE || kind == HWLOC_OBJ_PU)
    for (const int cpu : left) parts.push_back({cpu});
  else
    parts.push_back(std::move(left));
  return parts;
}

}  // namespace

Result<MachineParts> read_machine(const CpuSet& usable, const std::string& synthetic) {
  const auto topology = load(synthetic);
  if (!topology)
    return topology.status();
  hwloc_topology* const machine = topology.value().get();
  const CpuSet known = cpus_of(hwloc_topology_get_topology_cpuset(machine), usable);
  if (known.empty())
    return error(Code::System, "hwloc knows none of the CPUs {} of this process", cpu_list(usable));
  return MachineParts{
      parts_of(machine, HWLOC_OBJ_PU, known),
      parts_of(machine, HWLOC_OBJ_CORE, known),
      parts_of(machine, HWLOC_OBJ_NUMANODE, known),
      parts_of(machine, HWLOC_OBJ_PACKAGE, known)};
}

Result<std::vector<CpuSet>> bind_here(
    const BindPolicy& policy, const std::vector<int>& thread_cores, int ranks) {
  if (policy.bind == MachinePart::None && thread_cores.empty())
    return std::vector<CpuSet>();
  const auto usable = own_affinity();
  if (!usable)
    return usable.status();
  std::vector<CpuSet> cpus;
  if (policy.bind != MachinePart::None) {
    const auto machine = read_machine(usable.value());
    auto bound = machine ? bind_ranks(machine.value(), policy, ranks) : machine.status();
    if (!bound)
      return bound;
    cpus = std::move(bound).value();
  }
  FARANDOLE_RETURN_IF_ERROR(check_thread_cores(thread_cores, ranks, usable.value(), policy, cpus));
  return cpus;
}

}  // namespace farandole::launch

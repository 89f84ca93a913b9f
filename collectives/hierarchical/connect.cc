#include "collectives/hierarchical/connect.h"

#include <utility>

#include "collectives/hierarchical/hierarchical_communicator.h"
#include "collectives/single/single_communicator.h"

namespace farandole::hierarchical {
namespace {

Status connect_one(
    const GroupSpec& spec,
    Store& store,
    const Config& config,
    const Connect& how,
    std::unique_ptr<Communicator>& to) {
  if (spec.members.size() == 1) {
    to = std::make_unique<single::SingleCommunicator>();
    return Status::ok();
  }
  Result<std::unique_ptr<Communicator>> made = how(spec, store, config);
  if (made)
    to = std::move(made).value();
  return made.status();
}

}  // namespace

Result<std::unique_ptr<Communicator>> connect(
    const GroupSpec& spec,
    Store& store,
    const Config& config,
    const Connect& inside,
    const Connect& across,
    size_t staging_bytes) {
  Parts parts;
  parts.staging_bytes = staging_bytes;
  parts.layout = make_layout(spec);
  const Layout& layout = parts.layout;
  FARANDOLE_RETURN_IF_ERROR(
      connect_one(local_group(spec, layout), store, config, inside, parts.local));
  if (layout.in_stream())
    FARANDOLE_RETURN_IF_ERROR(
        connect_one(across_group(spec, layout), store, config, across, parts.across));
  GroupSpec flat = spec;
  flat.tag += "/flat";
  FARANDOLE_RETURN_IF_ERROR(connect_one(flat, store, config, across, parts.flat));
  return std::unique_ptr<Communicator>(
      std::make_unique<HierarchicalCommunicator>(std::move(parts), spec.members.size()));
}

}  // namespace farandole::hierarchical

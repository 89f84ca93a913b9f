#include "collectives/gloo/connect.h"

#include <exception>
#include <utility>

#include "collectives/gloo/transport/connect.h"
#include "collectives/single/single_communicator.h"
#include "core/base/format.h"

namespace farandole::gloo_comm {

Result<std::unique_ptr<Communicator>> connect(
    const GroupSpec& spec, Store& store, const Config& config, const GlooOptions& options) {
  if (spec.members.size() == 1)
    return std::unique_ptr<Communicator>(std::make_unique<single::SingleCommunicator>());
  Result<std::shared_ptr<gloo_transport::Mesh>> mesh =
      gloo_transport::connect_mesh(spec, store, config);
  FARANDOLE_RETURN_IF_ERROR(mesh.status());
  try {
    return std::unique_ptr<Communicator>(
        std::make_unique<GlooCommunicator>(std::move(mesh).value(), options));
  } catch (const std::exception& defect) {
    return error(Code::Internal, "group {}: {}", spec.tag, defect.what());
  }
}

}  // namespace farandole::gloo_comm

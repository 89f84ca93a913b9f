#include "collectives/registry.h"

#include "collectives/shm/connect.h"
#include "collectives/single/single_communicator.h"

namespace farandole {

Result<std::unique_ptr<Communicator>> make_communicator(
    const GroupSpec& group, Store& store, const Config& config) {
  if (group.members.size() == 1)
    return std::unique_ptr<Communicator>(new single::SingleCommunicator());
  return shm::connect(group, store, config);
}

}  // namespace farandole

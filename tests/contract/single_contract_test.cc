#include "collectives/single/single_communicator.h"
#include "tests/contract/contract_suite.h"

namespace farandole {
namespace {

Result<std::unique_ptr<Communicator>> connect(const GroupSpec&, Store&, const Config&) {
  return std::unique_ptr<Communicator>(std::make_unique<single::SingleCommunicator>());
}

const bool kJoined = testing::join_contract(
    {.name = "Single",
     .connect = connect,
     .sizes = {1},
     .full_sizes = {1},
     .same_bits_however_segmented = true});

}  // namespace
}  // namespace farandole

#include "collectives/shm/connect.h"
#include "tests/contract/contract_suite.h"

namespace farandole {
namespace {

const bool kJoined = testing::join_contract(
    {.name = "Shm", .connect = shm::connect, .same_bits_however_segmented = true});

}  // namespace
}  // namespace farandole

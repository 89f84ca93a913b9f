#include "collectives/gloo/connect.h"
#include "collectives/hierarchical/connect.h"
#include "collectives/shm/connect.h"
#include "tests/contract/contract_suite.h"

namespace farandole {
namespace {

testing::Backend::Connect with_staging(size_t bytes) {
  return [bytes](const GroupSpec& spec, Store& store, const Config& config) {
    const auto across = [](const GroupSpec& group, Store& s, const Config& c) {
      return gloo_comm::connect(group, s, c);
    };
    return hierarchical::connect(spec, store, config, shm::connect, across, bytes);
  };
}

// Members in blocks: hosts of two, the last of one where their number is odd.
std::string hosts_of_two(int index, int) {
  return "host" + std::to_string(index / 2);
}

// Dealt out to three hosts in turn, as no launcher would; two are on a host each.
std::string three_hosts_in_turn(int index, int) {
  return "host" + std::to_string(index % 3);
}

// The second with so little staging memory that small tensors take several rounds.
const bool kJoined =
    testing::join_contract(
        {.name = "Hierarchical", .connect = with_staging(8 << 20), .host_of = hosts_of_two}) &&
    testing::join_contract(
        {.name = "HierarchicalInTurn",
         .connect = with_staging(3000),
         .host_of = three_hosts_in_turn,
         .sizes = {2, 3, 4, 5, 6, 7},
         .most_abort_bytes = 4 << 20});

}  // namespace
}  // namespace farandole

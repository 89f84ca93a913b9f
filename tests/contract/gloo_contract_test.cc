#include "collectives/gloo/connect.h"
#include "tests/contract/contract_suite.h"

namespace farandole {
namespace {

testing::Backend::Connect with(const gloo_comm::GlooOptions& options) {
  return [options](const GroupSpec& spec, Store& store, const Config& config) {
    return gloo_comm::connect(spec, store, config, options);
  };
}

std::string a_host_each(int index, int) {
  return "host" + std::to_string(index);
}

// As it comes; and with limits that send small tensors through every other way of doing it.
const bool kJoined =
    testing::join_contract({.name = "Gloo", .connect = with({}), .host_of = a_host_each}) &&
    testing::join_contract(
        {.name = "GlooRing",
         .connect = with({.one_shot_bytes = 0, .bcube_bytes = 0, .piece_bytes = 1000}),
         .host_of = a_host_each,
         .sizes = {2, 3, 4},
         .most_abort_bytes = 4 << 20}) &&
    testing::join_contract(
        {.name = "GlooBcube",
         .connect = with({.one_shot_bytes = 0, .bcube_bytes = size_t{1} << 30}),
         .host_of = a_host_each,
         .sizes = {2, 3, 4, 6}});

}  // namespace
}  // namespace farandole

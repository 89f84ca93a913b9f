// Adasum gives the same bits over each communicator.

#include "gtest/gtest.h"

#include "collectives/gloo/connect.h"
#include "collectives/hierarchical/connect.h"
#include "collectives/shm/connect.h"
#include "tests/contract/adasum_suite.h"

namespace farandole::testing {
namespace {

Result<std::unique_ptr<Communicator>> connect_gloo(
    const GroupSpec& spec, Store& store, const Config& config) {
  return gloo_comm::connect(spec, store, config);
}

Result<std::unique_ptr<Communicator>> connect_hierarchical(
    const GroupSpec& spec, Store& store, const Config& config) {
  return hierarchical::connect(spec, store, config, shm::connect, connect_gloo);
}

TEST(Adasum, GivesTheSameBitsOverEachCommunicator) {
  const auto of_three = [](int index, int) { return "host" + std::to_string(index % 3); };
  const Backend backends[] = {
      {.name = "Shm", .connect = shm::connect},
      {.name = "Gloo", .connect = connect_gloo},
      {.name = "Hierarchical", .connect = connect_hierarchical, .host_of = of_three}};
  for (const int size : {2, 5, 8})
    for (const DType dtype : {DType::Float32, DType::Float64, DType::Float16, DType::Bfloat16}) {
      Bytes want;
      for (const Backend& backend : backends) {
        Group group(backend, size, backend.config);
        ASSERT_TRUE(group.connected().is_ok()) << group.connected().to_string();
        const Bytes got = adasum_of_many(group, dtype);
        if (want.empty())
          want = got;
        EXPECT_EQ(got, want) << backend.name << " of " << size << ", " << name_of(dtype);
      }
    }
}

}  // namespace
}  // namespace farandole::testing

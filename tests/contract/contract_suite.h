#pragma once
// The contract suite: what core/communicator.h promises, asked of any communicator. A backend joins
// with a file of a few lines:
//
//   const bool kJoined = testing::join_contract({.name = "Mine", .connect = my::connect});
//
// built by farandole_contract_test(). Ranks are threads of one process that share a MemoryStore.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/config.h"
#include "core/communicator.h"
#include "core/store.h"

namespace farandole::testing {

struct Backend {
  using Connect =
      std::function<Result<std::unique_ptr<Communicator>>(const GroupSpec&, Store&, const Config&)>;

  std::string name;  // letters and digits
  Connect connect;
  // Host of a member; every member on "host" where not given.
  std::function<std::string(int index, int size)> host_of;
  Config config = contract_config();
  std::vector<int> sizes = {1, 2, 3, 4, 5, 6, 7, 8};
  // Group sizes that get every combination in the normal run; the others get all pairs of values.
  // All get everything in the suite "<name>ContractFull".
  std::vector<int> full_sizes = {2, 3};
  // The most that a rank moves until it is told to end. Less where all goes in small pieces: each
  // is a turn of every rank, and turns take long on a busy machine.
  size_t most_abort_bytes = size_t{64} << 20;
  // Results do not depend on how the elements are spread over segments.
  bool same_bits_however_segmented = false;

  // Small slots, so that small tensors need several chunks.
  static Config contract_config();
};

// Registers the tests of `backend`; to be called before main(). Returns true.
bool join_contract(Backend backend);

}  // namespace farandole::testing

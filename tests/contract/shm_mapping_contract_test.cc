// Shared memory whose ranks, threads of one process, have one mapping of it. A race detector knows
// memory by its address: between several mappings it sees no race, here it sees each. For
// ThreadSanitizer therefore, and built with it alone.

#include <memory>
#include <string>

#include "collectives/shm/shm_communicator.h"
#include "core/base/format.h"
#include "tests/contract/contract_suite.h"

namespace farandole {
namespace {

// Member 0 publishes where its segment lies, and destroys it when all the others have it, too.
class Forming {
 public:
  Forming(const GroupSpec& spec, Store& store, const Config& config)
      : spec_(spec),
        store_(store),
        config_(config),
        deadline_(steady_now() + config.start_timeout) {}

  Result<shm::SharedSegment> create() {
    const auto members = static_cast<uint32_t>(spec_.members.size());
    auto made = shm::SharedSegment::create(
        {members,
         static_cast<uint32_t>(config_.shm_slots),
         static_cast<uint64_t>(config_.shm_slot_bytes)},
        shm::group_hash(spec_.job, spec_.tag));
    if (!made)
      return made.status();
    shm::SharedSegment segment = std::move(made.value().first);
    FARANDOLE_RETURN_IF_ERROR(publish("segment", reinterpret_cast<uintptr_t>(&segment)));
    for (uint32_t member = 1; member < members; ++member)
      FARANDOLE_RETURN_IF_ERROR(await(fmt::format("has/{}", member)).status());
    return segment.same_mapping();
  }

  Result<shm::SharedSegment> join() {
    const Result<uintptr_t> place = await("segment");
    if (!place)
      return place.status();
    auto segment = reinterpret_cast<const shm::SharedSegment*>(place.value())->same_mapping();
    FARANDOLE_RETURN_IF_ERROR(publish(fmt::format("has/{}", spec_.index), 1));
    return segment;
  }

 private:
  Status publish(const std::string& key, uintptr_t value) {
    const std::string text = std::to_string(value);
    return store_.set(spec_.tag + "/" + key, {text.begin(), text.end()});
  }

  Result<uintptr_t> await(const std::string& key) {
    const auto got = store_.get(spec_.tag + "/" + key, deadline_);
    if (!got)
      return got.status();
    const std::string text(got.value().begin(), got.value().end());
    return static_cast<uintptr_t>(std::stoull(text));
  }

  const GroupSpec& spec_;
  Store& store_;
  const Config& config_;
  TimePoint deadline_;
};

Result<std::unique_ptr<Communicator>> connect(
    const GroupSpec& spec, Store& store, const Config& config) {
  Forming forming(spec, store, config);
  Result<shm::SharedSegment> segment = spec.index == 0 ? forming.create() : forming.join();
  if (!segment)
    return segment.status();
  shm::ShmOptions options;
  options.members = spec.members;
  options.index = static_cast<uint32_t>(spec.index);
  options.wait = shm::WaitPolicy::choose(1, static_cast<int64_t>(spec.members.size()), Duration(0));
  options.data_timeout = config.data_timeout;
  options.oversubscribed = true;
  return std::unique_ptr<Communicator>(
      std::make_unique<shm::ShmCommunicator>(std::move(segment).value(), std::move(options)));
}

// Pairs of values only: which ones is nothing to a race, and every access is slow.
const bool kJoined = testing::join_contract(
    {.name = "ShmMapping", .connect = connect, .sizes = {3, 5}, .full_sizes = {}});

}  // namespace
}  // namespace farandole

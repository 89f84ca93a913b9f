#include "collectives/shm/connect.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "collectives/shm/handover.h"
#include "collectives/shm/published.h"
#include "collectives/shm/segment.h"
#include "collectives/shm/shm_communicator.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/rank_cores.h"

namespace farandole::shm {
namespace {

// Keys, below "shm/<tag>/": "offer" is a status of the creator, whose message is the meeting point
// where it is Ok; "member/<i>" the status of member i; "verdict" the status of all.
class Forming {
 public:
  Forming(const GroupSpec& spec, Store& store, const Config& config)
      : spec_(spec),
        store_(store),
        config_(config),
        prefix_("shm/" + spec.tag + "/"),
        hash_(group_hash(spec.job, spec.tag)),
        deadline_(steady_now() + config.start_timeout) {}

  Result<SharedSegment> create() {
    std::optional<SharedSegment> segment;
    const Status verdict = create_and_hand_over(segment);
    // Where the Store itself failed, the others learn it from theirs.
    const Status told = publish("verdict", verdict, "");
    if (!verdict)
      return verdict;
    FARANDOLE_RETURN_IF_ERROR(told);
    return std::move(*segment);
  }

  Result<SharedSegment> join() {
    std::string text;
    const Status offer = await(0, "offer", text);
    if (!offer)
      return offer;
    Result<SharedSegment> segment = attach(text);
    if (spec_.interrupt)
      FARANDOLE_RETURN_IF_ERROR(spec_.interrupt->status());
    FARANDOLE_RETURN_IF_ERROR(publish(fmt::format("member/{}", spec_.index), segment.status(), ""));
    FARANDOLE_RETURN_IF_ERROR(await(0, "verdict", text));
    return segment;
  }

 private:
  size_t members() const noexcept { return spec_.members.size(); }

  Geometry geometry() const {
    // Room for a line per member in each slot, in whole pages.
    const uint64_t wanted =
        std::max<uint64_t>(static_cast<uint64_t>(config_.shm_slot_bytes), uint64_t{64} * members());
    return {
        static_cast<uint32_t>(members()),
        static_cast<uint32_t>(config_.shm_slots),
        (wanted + kPageBytes - 1) / kPageBytes * kPageBytes};
  }

  Status create_and_hand_over(std::optional<SharedSegment>& segment) {
    auto created = SharedSegment::create(geometry(), hash_);
    Result<Meeting> meeting = Meeting::random();
    Status ready = created ? meeting.status() : created.status();
    std::unique_ptr<HandoverServer> server;
    if (ready) {
      auto started = HandoverServer::start(created.value().second, meeting.value());
      ready = started.status();
      if (started)
        server = std::move(started).value();
    }
    FARANDOLE_FAILPOINT("shm_connect.offer");
    if (!ready)  // all are told the same, and whose lack it is
      ready = error(ready.code(), "{}: {}", named(0), ready.message());
    FARANDOLE_RETURN_IF_ERROR(publish("offer", ready, ready ? meeting.value().to_text() : ""));
    FARANDOLE_RETURN_IF_ERROR(ready);
    FARANDOLE_RETURN_IF_ERROR(hear_members());
    FARANDOLE_FAILPOINT("shm_connect.handed_over");
    segment = std::move(created.value().first);
    return Status::ok();
  }

  // What kept a member from attaching makes the group use something else.
  Status hear_members() {
    for (size_t i = 1; i < members(); ++i) {
      std::string text;
      const Status status = await(i, fmt::format("member/{}", i), text);
      if (status)
        continue;
      if (status.code() == Code::Timeout)
        return status;  // names it already
      return error(status.code(), "{}: {}", named(i), status.message());
    }
    return Status::ok();
  }

  Result<SharedSegment> attach(const std::string& meeting_text) const {
    const Result<Meeting> meeting = Meeting::from_text(meeting_text);
    if (!meeting)
      return meeting.status();
    Result<UniqueFd> fd = receive_descriptor(meeting.value(), deadline_, spec_.interrupt.get());
    if (!fd)
      return cannot(fd.status());
    Result<SharedSegment> segment =
        SharedSegment::attach(fd.value(), static_cast<uint32_t>(members()), hash_);
    return segment ? std::move(segment) : cannot(segment.status());
  }

  std::string named(size_t member) const {
    const Member& who = spec_.members[member];
    return fmt::format("rank {} (host {})", who.rank, printable(who.host));
  }

  Status cannot(const Status& why) const {
    return error(
        Code::Unsupported, "cannot use the shared memory of {}: {}", named(0), why.message());
  }

  Status publish(const std::string& key, const Status& status, const std::string& text) {
    return store_.set(prefix_ + key, Published{status, text}.to_bytes());
  }

  // The status that `member` publishes, or why it cannot be had.
  Status await(size_t member, const std::string& key, std::string& text) {
    const auto value = store_.get(prefix_ + key, deadline_);
    if (value.status().code() == Code::Timeout)
      return error(
          Code::Timeout,
          "{} does not answer while shared memory is set up: {} (FARANDOLE_START_TIMEOUT)",
          named(member),
          value.status().message());
    if (!value)
      return value.status();
    Result<Published> published = Published::from_bytes(value.value());
    if (!published)
      return error(
          Code::Mismatch, "store key {}{}: {}", prefix_, key, published.status().message());
    text = std::move(published.value().text);
    return published.value().status;
  }

  const GroupSpec& spec_;
  Store& store_;
  const Config& config_;
  std::string prefix_;
  uint64_t hash_;
  TimePoint deadline_;
};

}  // namespace

Result<std::unique_ptr<Communicator>> connect(
    const GroupSpec& spec, Store& store, const Config& config) {
  Forming forming(spec, store, config);
  Result<SharedSegment> segment = spec.index == 0 ? forming.create() : forming.join();
  if (!segment)
    return segment.status();
  const auto ranks = static_cast<int64_t>(spec.members.size());
  const double cores = cores_for_ranks(
      config, spec.local_size > 0 ? spec.local_size : static_cast<int>(spec.members.size()));
  ShmOptions options;
  options.members = spec.members;
  options.index = static_cast<uint32_t>(spec.index);
  options.wait = WaitPolicy::choose(cores, ranks, config.spin_time);
  options.data_timeout = config.data_timeout;
  options.oversubscribed = static_cast<double>(ranks) > cores;
  return std::unique_ptr<Communicator>(
      std::make_unique<ShmCommunicator>(std::move(segment).value(), std::move(options)));
}

}  // namespace farandole::shm
